"""A thread is inside a native call that keeps its thread state attached, so the world can't be stopped: a collector and
everybody who came back from a wait stand (free-threaded builds)."""

import ctypes
import gc
import sys
import threading
import time

import lock_scene as scene

libc = ctypes.PyDLL(None)
go = threading.Event()


def native():
    libc.pause()


def collect():
    go.wait()
    time.sleep(0.3)  # after the truth was told
    gc.collect()


def come_back():
    go.wait()
    time.sleep(0.5)  # after the collector stands, and before the process looks quiet


if getattr(sys, "_is_gil_enabled", lambda: True)():
    scene.tell("waiting", absent=["deadlock"])  # with a GIL it would be that which is held: see gil_in_native
gc.disable()
held = scene.scene.thread(native, name="native")
collector = scene.scene.thread(collect, name="collect")
late = scene.scene.thread(come_back, name="come-back")
scene.waits(held, "signal")
scene.waits(collector, "stop-the-world", None, held)
scene.waits(late, "stop-the-world", None, collector)
go.set()
scene.tell("stalled", cause="world-held-in-native", nodes=[held], behind=[collector, late], settled=False,
           until=lambda: time.sleep(100000))
