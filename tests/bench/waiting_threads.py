"""A target whose threads wait: waiting_threads.py WAY THREADS DEPTH.

WAY is `read` (nobody waits for a lock, each holds one), `lock` (all wait for one lock that the first holds), `lost` (for
one that nobody is seen to hold) or `event`.
"""

import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402

shared = threading.Lock()
event = threading.Event()
lost = threading.Lock()


class Worker:
    def __init__(self):
        self._lock = threading.Lock()

    def read(self, depth):
        if depth > 1:
            return self.read(depth - 1)
        with self._lock:
            return os.read(scene.NEVER, 1)

    def lock(self, depth):
        if depth > 1:
            return self.lock(depth - 1)
        with shared:
            return os.read(scene.NEVER, 1)

    def lost(self, depth):
        if depth > 1:
            return self.lost(depth - 1)
        with lost:
            pass

    def event(self, depth):
        if depth > 1:
            return self.event(depth - 1)
        return event.wait()


threading.Thread(target=lost.acquire).start()
threading.stack_size(512 << 10)
way, threads, deep = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(threads - 1):
    # threading has three frames of its own below.
    scene.thread(getattr(Worker(), way), deep - 3, name="worker-%d" % number)
scene.ready()
