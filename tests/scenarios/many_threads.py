"""200 threads, their stacks of different depths."""

import os
import threading

import scene


def rests(depth):
    if depth:
        return rests(depth - 1)
    return os.read(scene.NEVER, 1)


threading.stack_size(256 << 10)
for number in range(200):
    scene.thread(rests, number % 20, name="worker-%d" % number)
scene.ready()
