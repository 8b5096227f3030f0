"""The end of a low-level thread is waited for by its handle (3.13 on)."""

import _thread
import sys
import threading

import lock_scene as scene

if not hasattr(_thread, "start_joinable_thread"):
    scene.tell("waiting", absent=["deadlock"])
inner = []


def low():
    inner.append(threading.get_native_id())
    scene.scene.note_thread()
    scene.rest()


handle = _thread.start_joinable_thread(low)
scene.scene.wait_until_settled()


def join():
    handle.join()


scene.waits(scene.thread(join), "handle", None, inner[0])
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
