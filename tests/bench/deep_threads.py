"""A target of a given size: deep_threads.py THREADS DEPTH."""

import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402


def call(depth):
    if depth > 1:
        return call(depth - 1)
    return os.read(scene.NEVER, 1)


threading.stack_size(512 << 10)
for number in range(int(sys.argv[1]) - 1):
    # threading has three frames of its own below.
    scene.thread(call, int(sys.argv[2]) - 3, name="worker-%d" % number)
scene.ready()
