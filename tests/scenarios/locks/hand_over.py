"""Locks that are handed over at a high rate: never an owner who is none."""

import os
import threading

import lock_scene as scene

lock = threading.Lock()
rlock = threading.RLock()


def work():
    while True:
        with lock:
            pass
        with rlock:
            with rlock:
                pass


threads = [scene.scene.thread(work, name="work-%d" % i) for i in range(4)]
scene.tell(
    ["running", "waiting", "unknown", "stalled"], absent=["deadlock", "possible-deadlock"], looks=40, settled=False
)
