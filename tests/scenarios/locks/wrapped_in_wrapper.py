"""A wrapper whose exit calls a method of its own, which releases the lock of an inner wrapper."""

import threading

import lock_scene as scene

class Inner:
    def __init__(self):
        self._mutex = threading.RLock()

    def __enter__(self):
        self.lock()

    def lock(self):
        self._mutex.acquire()

    def unlock(self):
        self._mutex.release()

    def __exit__(self, *details):
        self.unlock()


inner = Inner()


def hold():
    with inner:
        scene.rest()


def wait():
    inner.lock()


holder = scene.thread(hold)
one = scene.thread(wait)
scene.waits(one, "rlock", inner._mutex, holder, name="Inner._mutex")
scene.holds(holder, inner._mutex, "inferred")
scene.tell(["waiting", "stalled"])
