"""The main thread inside a Python signal handler, in the middle of a loop; the truth is told by the handler."""

import os
import signal

import scene


def handler(number, frame):
    scene.ready()


def works():
    total = 0
    os.kill(os.getpid(), signal.SIGUSR1)
    while True:
        total += 1


signal.signal(signal.SIGUSR1, handler)
works()
