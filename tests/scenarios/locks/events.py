"""Event.wait, with and without a time limit: nobody owns an Event."""

import threading

import lock_scene as scene

event = threading.Event()


def wait():
    event.wait()


def timed():
    event.wait(100000)


one, two = scene.thread(wait), scene.thread(timed)
scene.waits(one, "event", event, None, name="event")
scene.waits(two, "event", event, None, timeout=True)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
