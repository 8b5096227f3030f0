"""One thread keeps the GIL inside a C call that never ends; others want it; one sleeps outside."""

import collections
import itertools
import os
import time

import scene

SPINNERS = 4


def spins():
    count = 0
    while True:
        count += 1


def teller_rests():
    with open("/proc/self/task/%d/syscall" % os.getpid(), encoding="ascii") as file:
        return file.read().startswith("0 0x0 ")  # read(0, …


def holds():
    while not teller_rests():
        time.sleep(0.02)
    collections.deque(itertools.repeat(None), maxlen=0)  # holds


def sleeps():
    os.read(scene.NEVER, 1)


holder = scene.thread(holds, name="holder")
scene.thread(sleeps, name="sleeper")
spinners = [scene.thread(spins, name="spinner-%d" % number) for number in range(SPINNERS)]
scene.ready(
    moving=["holder"] + [each.name for each in spinners],
    gil={"holder": holder.native_id, "waiters": [each.native_id for each in spinners]},
    still={"holder": ["holds", scene.line("holds")]},
)
