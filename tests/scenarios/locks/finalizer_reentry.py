"""A finalizer that runs in the middle of the holder takes the same Lock."""

import threading

import lock_scene as scene

lock = threading.Lock()


class Handle:
    def __del__(self):
        with lock:
            pass


def work():
    handle = Handle()
    with lock:
        handle = None  # noqa: F841
        scene.rest()


one = scene.thread(work)
scene.waits(one, "lock", lock, one)
scene.holds(one, lock)
scene.tell("deadlock", "finalizer-reentry", [one])
