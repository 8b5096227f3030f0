"""The garbage collector runs a finalizer that takes the Lock of the code it interrupted."""

import gc
import threading

import lock_scene as scene

lock = threading.Lock()
gc.disable()


class Node:
    def __init__(self):
        self.itself = self

    def __del__(self):
        with lock:
            pass


def work():
    Node()
    with lock:
        gc.collect()
        scene.rest()


one = scene.thread(work)
scene.waits(one, "lock", lock, one)
scene.holds(one, lock)
scene.tell("deadlock", "finalizer-reentry", [one])
