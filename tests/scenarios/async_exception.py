"""An exception set from another thread, pending while its thread sleeps in C."""

import ctypes
import os

import scene


class Stop(Exception):
    pass


def rests():
    os.read(scene.NEVER, 1)


victim = scene.thread(rests, name="victim")
other = scene.thread(rests, name="other")
builtin = scene.thread(rests, name="builtin")
scene.wait_until_settled()
for thread, kind in ((victim, Stop), (builtin, KeyboardInterrupt)):
    changed = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(kind))
    if changed != 1:
        raise LookupError("no such thread state")
scene.expect("victim", pending_async_exception="__main__.Stop")
scene.expect("builtin", pending_async_exception="KeyboardInterrupt")
scene.expect("other", pending_async_exception=None)
scene.ready()
