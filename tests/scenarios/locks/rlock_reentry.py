"""An RLock that its thread takes several times is no deadlock."""

import threading

import lock_scene as scene

lock = threading.RLock()


def deep(n):
    with lock:
        if n:
            deep(n - 1)
        scene.rest()


def wait():
    lock.acquire()


one = scene.thread(deep, 5)
two = scene.thread(wait)
scene.waits(two, "rlock", lock, one)
scene.holds(one, lock)
scene.tell(["waiting", "stalled"])
