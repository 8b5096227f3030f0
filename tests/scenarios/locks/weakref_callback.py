"""A weak reference's callback that runs in the middle of the holder takes the same Lock."""

import threading
import weakref

import lock_scene as scene


class Row:
    pass


class Cache:
    def __init__(self):
        self.lock = threading.Lock()
        self.rows = {}
        self.references = {}

    def put(self, key):
        self.rows[key] = Row()
        self.references[key] = weakref.ref(self.rows[key], lambda _: self.forget(key))

    def forget(self, key):
        with self.lock:
            self.references.pop(key, None)

    def evict(self, key):
        with self.lock:
            del self.rows[key]


def work():
    # A free-threaded build leaves an object's end to the thread that made it.
    cache.put("a")
    cache.evict("a")


cache = Cache()
one = scene.thread(work)
scene.waits(one, "lock", cache.lock, one)
scene.holds(one, cache.lock)
scene.tell("deadlock", "finalizer-reentry", [one])
