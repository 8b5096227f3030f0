"""A mutex that its own thread has already: only a native deadlock."""

import ctypes
import threading

import lock_scene as scene

libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)


def twice():
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


one = scene.thread(twice)
scene.waits(one, "native-mutex", ctypes.addressof(mutex), one)
scene.tell("deadlock", "self-deadlock", [one])
