"""A Barrier that one party has come to."""

import threading

import lock_scene as scene

barrier = threading.Barrier(3)


def wait():
    barrier.wait()


one = scene.thread(wait)
scene.waits(one, "barrier", barrier, None, name="barrier")
scene.tell(["waiting"], absent=["deadlock", "possible-deadlock"])
