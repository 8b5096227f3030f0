"""A lock is about to be given back: a tracer runs at the start of the `__exit__` that would do it."""

import sys
import threading

import lock_scene as scene


condition = threading.Condition(threading.Lock())


def trace(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "__exit__":
        scene.rest()


def leave():
    sys.settrace(trace)
    with condition:
        pass


def wait():
    with condition:
        pass


one = scene.thread(leave)
two = scene.thread(wait)
scene.waits(two, "lock", condition._lock, one, "inferred", name="condition._lock")
scene.holds(one, condition._lock, "inferred")
scene.tell(["stalled", "waiting"], absent=["deadlock", "possible-deadlock"])
