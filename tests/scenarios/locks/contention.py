"""A holder rests on the outside while others queue."""

import threading

import lock_scene as scene

lock = threading.Lock()


def hold():
    with lock:
        scene.rest()


def wait():
    with lock:
        pass


holder = scene.thread(hold)
threads = [scene.thread(wait, name="wait-%d" % i) for i in range(3)]
for each in threads:
    scene.waits(each, "lock", lock, holder)
scene.holds(holder, lock)
scene.tell("stalled", "contention", [holder], threads)
