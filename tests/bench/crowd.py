"""A program of a given size: crowd.py THREADS DEPTH blocked|busy|beating.

All threads, the main one included, have DEPTH Python frames (5 at the least).
blocked  every thread holds a lock of its own; half of them wait for one lock that the main thread holds, half in read(2)
busy     every thread computes
beating  blocked, but for the main thread: a heart that notes the longest time between two of its beats. A line on
         standard input is answered by that time in ms, and the count begins anew.
Once all have come to their depth, one line of JSON is written.
"""

import _thread
import json
import os
import pathlib
import select
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402

THREADS, DEPTH, WAY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
BEAT = 0.0001
shared = threading.Lock()
gate = threading.Event()
arrived = []


class Worker:
    def __init__(self):
        self._lock = threading.Lock()

    def read(self, depth):
        if depth > 1:
            return self.read(depth - 1)
        arrived.append(1)
        with self._lock:
            return os.read(scene.NEVER, 1)

    def lock(self, depth):
        if depth > 1:
            return self.lock(depth - 1)
        arrived.append(1)
        with self._lock:
            with shared:
                return None

    def compute(self, depth):
        if depth > 1:
            return self.compute(depth - 1)
        arrived.append(1)
        gate.wait()  # nobody computes before all are there
        total = 0
        while True:
            for number in range(1000):
                total += number & 7


def tell():
    while len(arrived) < THREADS - 1:
        time.sleep(0.01)
    facts = {"pid": os.getpid(), "threads": THREADS, "ident": _thread.get_ident()}
    os.write(1, json.dumps(facts).encode() + b"\n")
    gate.set()


def beat():
    while True:
        longest = 0.0
        before = time.perf_counter()
        while not select.select([0], [], [], BEAT)[0]:
            now = time.perf_counter()
            longest = max(longest, now - before)
            before = now
        longest = max(longest, time.perf_counter() - before)
        if not os.read(0, 1 << 10):
            os._exit(0)
        os.write(1, b"%.3f\n" % (longest * 1000))


def stay(depth):
    if depth > 1:
        return stay(depth - 1)
    tell()
    if WAY == "busy":
        return Worker().compute(1)
    if WAY == "beating":
        return beat()
    return os.read(0, 1)


threading.stack_size(512 << 10)
with shared:
    for number in range(THREADS - 1):
        worker = Worker()
        run = worker.compute if WAY == "busy" else worker.lock if number % 2 else worker.read
        # threading has three frames of its own below.
        threading.Thread(target=run, args=(DEPTH - 3,), name="worker-%d" % number, daemon=True).start()
    stay(DEPTH - 1 - (WAY in ("busy", "beating")))
os._exit(0)
