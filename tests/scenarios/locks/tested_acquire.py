"""A cycle of Locks that are acquired with a time limit, and used only if that succeeded."""

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


def second():
    if (got := lock_b.acquire(True, 60)) is False:  # second takes
        raise TimeoutError(got)
    try:
        meet.wait()
        with lock_a:
            pass
    finally:
        lock_b.release()


one = scene.scene.thread(first, name="first")
two = scene.thread(second)
scene.waits(one, "lock", lock_b, two, "inferred")
scene.waits(two, "lock", lock_a, one, "inferred")
scene.holds(one, lock_a, "inferred", taken=scene.line("first takes"))
scene.holds(two, lock_b, "inferred", taken=scene.line("second takes"))
scene.tell("deadlock", "lock-cycle", [one, two])
