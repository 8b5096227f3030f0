"""A thread that comes to a Barrier which is still being left waits to enter."""

import threading

import lock_scene as scene

class Slow(threading.Barrier):
    pass


barrier = threading.Barrier(2)
barrier._state = 1  # draining: one of the last round has not left yet


def wait():
    barrier.wait()


one = scene.thread(wait)
scene.waits(one, "barrier", barrier, None)
scene.tell(["waiting"], absent=["deadlock", "possible-deadlock"])
