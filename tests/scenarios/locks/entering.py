"""A lock is taken by a thread that cannot go on: native code holds the GIL, and the block has not begun."""

import ctypes
import os
import sys
import threading

import lock_scene as scene

libc = ctypes.PyDLL(None)
lock = threading.Lock()
me = scene.main()


def enter():
    with lock:
        scene.rest()


def wait():
    with lock:
        scene.rest()


lock.acquire()
taker = scene.thread(enter)  # the first that sleeps is the first that is woken
waiter = scene.thread(wait)
if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
    scene.tell(["waiting", "unknown", "stalled"])
scene.waits(taker, "gil", None, me)
scene.waits(waiter, "lock", lock, taker, "inferred")
scene.holds(taker, lock, "inferred")
facts = {
    "waits": scene._waits,
    "holds": scene._holds,
    "objects": [id(lock)],
    "verdicts": ["stalled"],
    "cause": "gil-held-in-native",
    "nodes": None,
    "behind": None,
    "absent": ["deadlock"],
    "looks": 1,
}


def release_and_keep():
    release, pause = lock.release, libc.pause
    release()
    pause()


scene.scene.tell({"pid": os.getpid(), "threads": [], "tids": [], "locks": facts})
release_and_keep()
