"""A cycle of locks that a program's own class wraps, taken by acquire() and released in a finally."""

import threading

import lock_scene as scene


class Traced:
    def __init__(self):
        self._inner = threading.Lock()

    def acquire(self, *args, **kwargs):
        return self._inner.acquire(*args, **kwargs)

    def release(self):
        self._inner.release()

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *exception):
        self.release()


def first():
    a.acquire()  # first takes
    try:
        meet.wait()
        with b:
            pass
    finally:
        a.release()


def second():
    with b:  # second takes
        meet.wait()
        a.acquire()


a, b = Traced(), Traced()
meet = threading.Barrier(2)
one = scene.scene.thread(first, name="first")
two = scene.thread(second)
scene.waits(one, "lock", b._inner, two, "inferred", name="Traced._inner")
scene.waits(two, "lock", a._inner, one, "inferred", name="Traced._inner")
scene.holds(one, a._inner, "inferred", taken=scene.line("first takes"))
scene.holds(two, b._inner, "inferred", taken=scene.line("second takes"))
scene.tell("deadlock", "lock-cycle", [one, two])
