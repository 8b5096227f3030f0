"""A manager whose __exit__ gives its lock back in a way that no rule reads: its only lock is likely the one."""

import threading

import lock_scene as scene


class Odd:
    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *details):
        getattr(self.lock, "rel" + "ease")()


odd = Odd()


def hold():
    with odd:
        scene.rest()


def wait():
    odd.lock.acquire()


holder = scene.thread(hold)
one = scene.thread(wait)
scene.waits(one, "lock", odd.lock, holder, "likely", name="Odd.lock")
scene.holds(holder, odd.lock, "likely")
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
