"""Thread.join, with and without a time limit."""

import threading

import lock_scene as scene

sleeper = scene.thread(scene.rest, name="sleeper")


def join():
    sleeper.join()


def timed():
    sleeper.join(100000)


scene.waits(scene.thread(join), "join", None, sleeper)
scene.waits(scene.thread(timed), "join", None, sleeper, timeout=True)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
