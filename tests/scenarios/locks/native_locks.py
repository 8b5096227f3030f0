"""A native mutex, reader-writer lock and condition variable, by ctypes."""

import ctypes
import threading

import lock_scene as scene

libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
rwlock = ctypes.create_string_buffer(64)
inner = ctypes.create_string_buffer(64)
condition = ctypes.create_string_buffer(64)


attributes = ctypes.create_string_buffer(8)
libc.pthread_mutexattr_init(attributes)
libc.pthread_mutexattr_setprotocol(attributes, 1)  # PTHREAD_PRIO_INHERIT
inheriting = ctypes.create_string_buffer(64)
libc.pthread_mutex_init(inheriting, attributes)


def hold():
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(inheriting)
    libc.pthread_rwlock_wrlock(rwlock)
    scene.rest()


def lock():
    libc.pthread_mutex_lock(mutex)


def lock_inheriting():
    libc.pthread_mutex_lock(inheriting)


def read_lock():
    libc.pthread_rwlock_rdlock(rwlock)


def write_lock():
    libc.pthread_rwlock_wrlock(rwlock)


def wait():
    libc.pthread_mutex_lock(inner)
    libc.pthread_cond_wait(condition, inner)


holder = scene.thread(hold)
scene.waits(scene.thread(lock), "native-mutex", ctypes.addressof(mutex), holder)
scene.waits(scene.thread(lock_inheriting), "native-mutex", None, None)
scene.waits(scene.thread(read_lock), "native-rwlock", ctypes.addressof(rwlock), holder)
scene.waits(scene.thread(write_lock), "native-rwlock", ctypes.addressof(rwlock), holder)
scene.waits(scene.thread(wait), "native-condition", None, None)
scene.tell(["waiting", "stalled"], absent=["deadlock", "possible-deadlock"])
