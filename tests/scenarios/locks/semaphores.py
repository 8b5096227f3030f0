"""Permits of a Semaphore and a BoundedSemaphore, held by a thread that rests outside."""

import threading

import lock_scene as scene

plain = threading.Semaphore(1)
bounded = threading.BoundedSemaphore(2)


def hold():
    with plain, bounded, bounded:
        scene.rest()


def wait(semaphore):
    with semaphore:
        pass


holder = scene.thread(hold)
one = scene.thread(wait, plain, name="plain")
two = scene.thread(wait, bounded, name="bounded")
scene.waits(one, "semaphore", plain, None, name="plain")
scene.waits(two, "semaphore", bounded, None, name="bounded")
scene.holds(holder, plain)
scene.holds(holder, bounded)
scene.tell(["waiting", "stalled"])
