"""Two plain Locks, taken in opposite order; one more thread behind."""

import threading

import lock_scene as scene

lock_a = threading.Lock()
lock_b = threading.Lock()
meet = threading.Barrier(2)


def first():
    with lock_a:  # first takes
        meet.wait()
        with lock_b:
            pass


def second():
    with lock_b:  # second takes
        meet.wait()
        lock_a.acquire()


def behind():
    with lock_a:
        pass


one = scene.scene.thread(first, name="first")
two = scene.thread(second)
three = scene.thread(behind)
scene.waits(one, "lock", lock_b, two, name="lock_b")
scene.waits(two, "lock", lock_a, one, name="lock_a")
scene.waits(three, "lock", lock_a, one)
scene.holds(one, lock_a, taken=scene.line("first takes"))
scene.holds(two, lock_b, taken=scene.line("second takes"))
scene.tell("deadlock", "lock-cycle", [one, two], [three])
