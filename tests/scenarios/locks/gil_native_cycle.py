"""One thread has a native mutex and wants the GIL; another has the GIL and wants the mutex."""

import ctypes
import sys
import threading

import lock_scene as scene

mutex = ctypes.create_string_buffer(64)
with_gil = ctypes.PyDLL(None)
without_gil = ctypes.CDLL(None)
CALLBACK = ctypes.PYFUNCTYPE(None)
taken = threading.Event()
me = scene.main()


def take_mutex():
    # Released around the call: the mutex is taken while nobody knows of Python.
    without_gil.pthread_mutex_lock(mutex)
    taken.set()
    for _ in range(10**12):  # wants the GIL again and again
        pass


if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
    scene.tell(["running", "waiting"], settled=False)
one = scene.scene.thread(take_mutex, name="has-mutex")
taken.wait()
scene.waits(one, "gil", None, me)
scene.waits(me, "native-mutex", None, one)
scene.scene.tell(
    {
        "pid": __import__("os").getpid(),
        "threads": [],
        "tids": [],
        "locks": {
            "waits": scene._waits,
            "holds": [],
            "objects": [],
            "verdicts": ["deadlock"],
            "cause": "gil-native-cycle",
            "nodes": sorted([me, one.native_id]),
            "behind": None,
            "absent": [],
            "looks": 1,
        },
    }
)
with_gil.pthread_mutex_lock(mutex)
