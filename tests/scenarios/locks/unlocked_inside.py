"""Locks that their own blocks have given back: by a manager further in, by a bound method, by another thread's part.

Nothing here is a deadlock: who has each lock goes on once its sleep is over.
"""

import contextlib
import threading
import time

import lock_scene as scene


@contextlib.contextmanager
def unlocked(lock):
    lock.release()
    try:
        yield
    finally:
        lock.acquire()


class Unlocked:
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.lock.release()

    def __exit__(self, *exception):
        self.lock.acquire()


def by_generator(lock, other):
    with lock:
        with unlocked(lock):
            other.acquire()


def by_class(lock, other):
    with lock:
        with Unlocked(lock):
            other.acquire()


def by_method(lock, other):
    release = lock.release
    with lock:
        release()
        other.acquire()


def take(lock):
    lock.acquire()


def sleep_and_release(lock):
    take(lock)
    time.sleep(10000)
    lock.release()


for way in (by_generator, by_class, by_method):
    lock, other = threading.Lock(), threading.Lock()
    gate = threading.Lock()
    gate.acquire()

    def hold_other(other=other, lock=lock, gate=gate):
        with other:
            gate.acquire()
            with lock:
                pass

    second = scene.thread(hold_other)
    scene.holds(second, other)
    first = scene.thread(way, lock, other)
    third = scene.thread(sleep_and_release, lock)
    scene.known(lock)
    gate.release()
    scene.waits(first, "lock", other, second)
    scene.waits(second, "lock", lock, third, least="any")
    scene.scene.wait_until_settled()
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
