"""A thread waits for the end of another, which wants a lock of the first."""

import threading

import lock_scene as scene

lock = threading.Lock()


def worker():
    with lock:
        pass


def stopper():
    with lock:
        started = scene.scene.thread(worker, name="worker")
        workers.append(started)
        started.join()


workers = []
one = scene.thread(stopper)
scene.waits(one, "join", None, workers[0])
scene.waits(workers[0], "lock", lock, one)
scene.holds(one, lock)
scene.tell("deadlock", "join-cycle", [one, workers[0]])
