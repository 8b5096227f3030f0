"""A cycle of Locks that are acquired with a time limit, and used only if that succeeded."""

import sys
import threading

import lock_scene as scene

lock_a = threading.Lock()
lock_b = threading.Lock()
meet = threading.Barrier(2)


def first():
    got = lock_a.acquire(True, 60)  # first takes
    if not got:
        raise TimeoutError
    try:
        meet.wait()
        with lock_b:
            pass
    finally:
        lock_a.release()


SECOND = """def second():
    if (got := lock_b.acquire(True, 60)) is False:  # second takes
        raise TimeoutError
    try:
        meet.wait()
        with lock_a:
            pass
    finally:
        lock_b.release()
"""
if sys.version_info < (3, 8):  # without `:=`
    SECOND = SECOND.replace("(got := lock_b.acquire(True, 60))", "lock_b.acquire(True, 60)")
exec(compile("\n" * (scene.line("second takes") - 2) + SECOND, __file__, "exec"))

one = scene.scene.thread(first, name="first")
two = scene.thread(second)
scene.waits(one, "lock", lock_b, two, "inferred")
scene.waits(two, "lock", lock_a, one, "inferred")
scene.holds(one, lock_a, "inferred", taken=scene.line("first takes"))
scene.holds(two, lock_b, "inferred", taken=scene.line("second takes"))
scene.tell("deadlock", "lock-cycle", [one, two])
