"""The same order of locks as in a deadlock, but one thread will give up."""

import threading

import lock_scene as scene

lock_a = threading.Lock()
lock_b = threading.Lock()
meet = threading.Barrier(2)


def patient():
    with lock_a:
        meet.wait()
        with lock_b:
            pass


def impatient():
    with lock_b:
        meet.wait()
        lock_a.acquire(timeout=100000)


one = scene.scene.thread(patient, name="patient")
two = scene.thread(impatient)
scene.waits(one, "lock", lock_b, two)
scene.waits(two, "lock", lock_a, one, timeout=True)
scene.holds(one, lock_a)
scene.holds(two, lock_b)
scene.tell("possible-deadlock", "lock-cycle", [one, two])
