"""acquire() with try and finally, in a local alias, and one that only an acquire tells of."""

import threading

import lock_scene as scene

class Store:
    def __init__(self):
        self.lock = threading.Lock()

    def hold(self):
        self.lock.acquire()  # store takes
        try:
            hold_more()
        finally:
            self.lock.release()


global_lock = threading.Lock()
bare_lock = threading.Lock()
store = Store()


def hold_more():
    global_lock.acquire()
    try:
        hold_bare()
    finally:
        global_lock.release()


def hold_bare():
    bare_lock.acquire()
    scene.rest()
    bare_lock.release()


def wait(lock):
    lock.acquire()


holder = scene.thread(store.hold, name="hold")
for lock, least in ((store.lock, "inferred"), (global_lock, "inferred"), (bare_lock, "likely")):
    scene.waits(scene.thread(wait, lock, name="wait"), "lock", lock, holder, least)
    scene.holds(holder, lock, least)
scene.tell(["waiting", "stalled", "unknown"])
