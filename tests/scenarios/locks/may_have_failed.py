"""Managers and tries whose acquire has failed: they hold nothing, though they release what they have."""

import threading
import time

import lock_scene as scene


class Attempt:
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.got = self.lock.acquire(False)
        return self.got

    def __exit__(self, *exception):
        if self.got:
            self.lock.release()


class Careless:
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.lock.acquire(timeout=0.01)

    def __exit__(self, *exception):
        try:
            self.lock.release()
        except RuntimeError:
            pass


def by_manager(manager, other):
    with manager:
        with other:
            pass


def by_try(lock, other):
    lock.acquire(timeout=0.01)
    try:
        with other:
            pass
    finally:
        try:
            lock.release()
        except RuntimeError:
            pass


def take(lock):
    lock.acquire()


def sleep_and_release(lock):
    take(lock)
    time.sleep(10000)
    lock.release()


def keep_and_wait(other, lock):
    with other:
        with lock:
            pass


for start in (
    lambda lock, other: (by_manager, Attempt(lock), other),
    lambda lock, other: (by_manager, Careless(lock), other),
    lambda lock, other: (by_try, lock, other),
):
    lock, other = threading.Lock(), threading.Lock()
    third = scene.thread(sleep_and_release, lock)
    scene.known(lock)
    second = scene.thread(keep_and_wait, other, lock)
    scene.holds(second, other)
    first = scene.thread(*start(lock, other))
    scene.waits(first, "lock", other, second)
    scene.waits(second, "lock", lock, third, least="any")
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
