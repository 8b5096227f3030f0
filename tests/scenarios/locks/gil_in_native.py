"""The GIL is held inside a native call while others want it."""

import ctypes
import os
import time
import threading

import lock_scene as scene

libc = ctypes.PyDLL(None)
libc.usleep.argtypes = [ctypes.c_uint]
go = threading.Event()
spins = [0]


def spin():
    go.wait()
    while True:
        spins[0] += 1


threads = [scene.scene.thread(spin, name="spin-%d" % i) for i in range(2)]
me = scene.main()
for each in threads:
    scene.waits(each, "gil", None, me)
facts = dict(verdict="stalled", cause="gil-held-in-native", nodes=[me])


def hold():
    scene.scene.tell(
        {
            "pid": os.getpid(),
            "threads": [],
            "tids": [],
            "locks": {
                "waits": scene._waits,
                "holds": [],
                "objects": [],
                "verdicts": ["stalled"],
                "cause": "gil-held-in-native",
                "nodes": [me],
                "behind": None,
                "absent": ["deadlock"],
                "looks": 1,
            },
        }
    )
    libc.pause()


if hasattr(__import__("sys"), "_is_gil_enabled") and not __import__("sys")._is_gil_enabled():
    scene._waits.clear()
    scene.tell(["running", "waiting"], moving=["spin-0", "spin-1"], settled=False)
go.set()
time.sleep(0.1)
hold()
