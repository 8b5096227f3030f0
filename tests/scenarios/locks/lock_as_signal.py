"""A Lock that its own block acquires again, and another thread is to release: a signal, no deadlock."""

import threading
import time

import lock_scene as scene

queue = []


def wait_for_signal():
    gate = threading.Lock()
    with gate:
        queue.append(gate)
        gate.acquire()


def wait_for_timer():
    gate = threading.Lock()
    timer = threading.Timer(10000, gate.release)
    timer.daemon = True
    gate.acquire()
    try:
        timer.start()
        queue.append(gate)
        gate.acquire()
    finally:
        gate.release()


def waker():
    time.sleep(10000)
    for each in queue:
        each.release()


one = scene.thread(wait_for_signal)
two = scene.thread(wait_for_timer)
scene.thread(waker)
scene.waits(one, "lock", queue[0], None)
scene.waits(two, "lock", queue[1], None)
scene.tell(["waiting", "unknown", "stalled"], absent=["deadlock", "possible-deadlock"])
