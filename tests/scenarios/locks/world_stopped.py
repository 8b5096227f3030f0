"""A collector stops the world while a thread is deep in C and another runs Python (free-threaded builds)."""

import gc
import random
import sys
import time

import lock_scene as scene

if getattr(sys, "_is_gil_enabled", lambda: True)():
    scene.tell("waiting", absent=["deadlock"])
gc.disable()
base = [random.random() for _ in range(3_000_000)]
big = list(base)


def sort():
    while True:
        big[:] = base
        try:
            big.sort()
        except ValueError:  # it was changed meanwhile
            pass


def append():
    while True:
        big.append(1.0)


def collect():
    while True:
        gc.collect()
        time.sleep(0.05)  # others are to come on, the one that tells among them


def spin():
    while True:
        pass


scene.scene.thread(sort, name="sort")
time.sleep(0.6)
scene.scene.thread(collect, name="collect")
spinner = scene.scene.thread(spin, name="spin")
time.sleep(0.3)
scene.waits(spinner, "stop-the-world", None, None, least="any")
scene.tell(["running", "waiting", "stalled"], absent=["deadlock", "possible-deadlock"], settled=False)
