"""A list that is being sorted is wanted by another thread, and a collector stops the world (free-threaded builds)."""

import gc
import random
import sys

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


def spin():
    while True:
        pass


import time

sorter = scene.scene.thread(sort, name="sort")
time.sleep(0.3)
appender = scene.scene.thread(append, name="append")
time.sleep(0.3)
scene.waits(appender, "critical-section", big, sorter)
scene.holds(sorter, big)
scene.tell(["running", "waiting", "stalled"], absent=["deadlock", "possible-deadlock"], settled=False)
