"""A thread takes a plain Lock that it has."""

import threading

import lock_scene as scene

lock = threading.Lock()


def helper():
    with lock:
        pass


def again():
    with lock:  # takes
        helper()


one = scene.thread(again)
scene.waits(one, "lock", lock, one, name="lock")
scene.holds(one, lock, taken=scene.line("takes"))
scene.tell("deadlock", "self-deadlock", [one])
