"""A holder that computes while others wait for it."""

import threading

import lock_scene as scene

lock = threading.Lock()


def hold():
    with lock:
        while True:
            pass


def wait():
    lock.acquire()


holder = scene.scene.thread(hold, name="hold")
import time

time.sleep(0.2)
one = scene.scene.thread(wait, name="wait")
time.sleep(0.2)
scene.waits(one, "lock", lock, holder)
scene.holds(holder, lock)
scene.tell("running", absent=["deadlock", "possible-deadlock", "stalled"], settled=False)
