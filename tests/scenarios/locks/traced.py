"""Every line is traced (coverage, a debugger): what is read of the code is the same as without."""

import sys
import threading

import lock_scene as scene


class Guard:
    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()
        return self

    def __exit__(self, *details):
        self.lock.release()


def trace(frame, event, argument):
    return trace


opened, tried, guard = threading.Lock(), threading.Lock(), Guard()
meet = threading.Barrier(3)


def with_open():
    with opened:  # opens
        meet.wait()
        with tried:
            pass


def with_try():
    tried.acquire()  # tries
    try:
        meet.wait()
        for _ in range(3):
            with guard:
                pass
    finally:
        tried.release()


def with_guard():
    with guard:
        meet.wait()
        opened.acquire()


def behind():
    with guard:
        pass


threading.settrace(trace)
sys.settrace(trace)
one = scene.scene.thread(with_open, name="with_open")
two = scene.scene.thread(with_try, name="with_try")
three = scene.thread(with_guard)
four = scene.thread(behind)
scene.waits(one, "lock", tried, two, "inferred", name="tried")
scene.waits(two, "lock", guard.lock, three, "inferred", any_name=True)
scene.waits(three, "lock", opened, one, name="opened")
scene.waits(four, "lock", guard.lock, three, "inferred", any_name=True)
scene.holds(one, opened, taken=scene.line("opens"))
scene.holds(two, tried, "inferred", taken=scene.line("tries"))
scene.holds(three, guard.lock, "inferred")
scene.tell("deadlock", "lock-cycle", [one, two, three], [four])
