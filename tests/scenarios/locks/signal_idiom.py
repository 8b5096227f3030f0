"""A Lock that is acquired twice by the same thread as a signal that another would give: no deadlock."""

import threading

import lock_scene as scene

lock = threading.Lock()


def waiter():
    lock.acquire()
    lock.acquire()


one = scene.thread(waiter)
scene.waits(one, "lock", lock, None)
scene.tell(["unknown", "waiting", "running"], absent=["deadlock", "possible-deadlock"])
