"""A PyMutex of no object, taken twice through CPython's C API (3.13 on)."""

import ctypes
import sys

import lock_scene as scene

if sys.version_info < (3, 13):
    scene.tell("waiting", absent=["deadlock"])
mutex = ctypes.create_string_buffer(1)
api = ctypes.pythonapi


def twice():
    api.PyMutex_Lock(mutex)
    api.PyMutex_Lock(mutex)


one = scene.thread(twice)
scene.waits(one, "c-lock", ctypes.addressof(mutex), None)
scene.tell(["waiting", "unknown"], absent=["deadlock", "possible-deadlock", "stalled"])
