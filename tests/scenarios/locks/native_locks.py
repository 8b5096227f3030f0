"""Native mutexes of all makes, reader-writer lock and condition variable, by ctypes."""

import ctypes
import threading

import lock_scene as scene

libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
rwlock = ctypes.create_string_buffer(64)
inner = ctypes.create_string_buffer(64)
condition = ctypes.create_string_buffer(64)


def made(kind=0, robust=0, protocol=0):
    attributes = ctypes.create_string_buffer(8)
    libc.pthread_mutexattr_init(attributes)
    libc.pthread_mutexattr_settype(attributes, kind)
    libc.pthread_mutexattr_setrobust(attributes, robust)
    libc.pthread_mutexattr_setprotocol(attributes, protocol)
    lock = ctypes.create_string_buffer(64)
    libc.pthread_mutex_init(lock, attributes)
    return lock


# PTHREAD_MUTEX_NORMAL said expressly, RECURSIVE, ROBUST, PRIO_INHERIT.
mutexes = [mutex, made(kind=0), made(kind=1), made(robust=1), made(protocol=1), made(kind=1, robust=1, protocol=1)]


# A stdio stream's lock, whose word tells no owner.
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))


def lock_stream():
    libc.flockfile(stream)


def hold():
    lock_stream()
    for each in mutexes:
        libc.pthread_mutex_lock(each)
    libc.pthread_rwlock_wrlock(rwlock)
    scene.rest()


def lock(which):
    libc.pthread_mutex_lock(which)


def read_lock():
    libc.pthread_rwlock_rdlock(rwlock)


def write_lock():
    libc.pthread_rwlock_wrlock(rwlock)


def wait():
    libc.pthread_mutex_lock(inner)
    libc.pthread_cond_wait(condition, inner)


holder = scene.thread(hold)
for each in mutexes:
    scene.waits(scene.thread(lock, each), "native-mutex", ctypes.addressof(each), holder)
scene.waits(scene.thread(lock_stream), "native-mutex", None, None, least="any")
scene.waits(scene.thread(read_lock), "native-rwlock", ctypes.addressof(rwlock), holder)
scene.waits(scene.thread(write_lock), "native-rwlock", ctypes.addressof(rwlock), holder)
scene.waits(scene.thread(wait), "native-condition", None, None)
scene.tell(["waiting", "stalled"], absent=["deadlock", "possible-deadlock"])
