"""All permits of a semaphore are held by threads that wait for one."""

import threading

import lock_scene as scene

permits = threading.BoundedSemaphore(2)
meet = threading.Barrier(2)


def greedy():
    with permits:
        meet.wait()
        with permits:
            pass


one = scene.scene.thread(greedy, name="greedy-1")
two = scene.thread(greedy, name="greedy-2")
for each in (one, two):
    scene.waits(each, "semaphore", permits, None, name="permits")
    scene.holds(each, permits)
scene.tell("deadlock", "resource-exhausted", [one, two])
