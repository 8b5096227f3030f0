"""The main thread has come to its end and waits for another, which tells the truth."""

import threading

import scene


def lasts():
    scene.ready()


threading.Thread(target=lasts, name="lasts").start()
