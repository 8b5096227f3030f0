"""Kinds of threads: daemon or not, renamed, a timer, a pool's, without a threading object, without Python."""

import _thread
import concurrent.futures
import ctypes
import os
import threading

import scene


def rests():
    os.read(scene.NEVER, 1)


def bare():
    scene.note_thread()
    rests()


def dummy():
    scene.note_thread()
    threading.current_thread()  # makes a _DummyThread
    rests()


def renames():
    threading.current_thread().name = "renamed"
    rests()


scene.thread(rests, name="daemon", daemon=True)
scene.thread(rests, name="no daemon", daemon=False)
scene.thread(renames, name="before")
scene.thread(rests)
_thread.start_new_thread(bare, ())
_thread.start_new_thread(dummy, ())
timer = threading.Timer(0, rests)
timer.daemon = True
timer.start()
pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="pool")
pool.submit(rests)

libc = ctypes.CDLL(None)
ident = ctypes.c_ulong()
pause = ctypes.cast(libc.pause, ctypes.c_void_p)
try:
    create = libc.pthread_create
except AttributeError:  # glibc before 2.34
    create = ctypes.CDLL("libpthread.so.0").pthread_create
if create(ctypes.byref(ident), None, pause, None) != 0:
    raise OSError("pthread_create")
threading.current_thread().name = "main renamed"
scene.ready(native_threads=1)
