"""Twelve threads in one cycle, each holding several locks it is not asked for."""

import threading

import lock_scene as scene

COUNT = 12
locks = [threading.Lock() for _ in range(COUNT)]
spare = [threading.Lock() for _ in range(COUNT)]
meet = threading.Barrier(COUNT)


def walk(i):
    with spare[i], locks[i]:
        meet.wait()
        with locks[(i + 1) % COUNT]:
            pass


threads = [scene.scene.thread(walk, i, name="walk-%d" % i) for i in range(COUNT)]
for i in range(COUNT):
    scene.waits(threads[i], "lock", locks[(i + 1) % COUNT], threads[(i + 1) % COUNT])
    scene.holds(threads[i], locks[i])
    scene.holds(threads[i], spare[i])
scene.tell("deadlock", "lock-cycle", threads)
