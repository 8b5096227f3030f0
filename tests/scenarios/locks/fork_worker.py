"""A worker that was forked: a Lock and an RLock of its own were taken in a call that has returned, one of them by a
thread that waits for the outside and will release it."""

import os
import sys
import threading

import lock_scene as scene

if len(sys.argv) > 1 or os.fork() == 0:
    scene.scene._die_with_parent()

    class Base:
        def __init__(self, lock):
            self.lock = lock

        def begin(self):
            self.lock.acquire()

        def work(self):
            self.begin()
            scene.rest()
            self.lock.release()

    plain, again = Base(threading.Lock()), Base(threading.RLock())
    keepers = [scene.thread(each.work, name="keeper") for each in (plain, again)]
    one = scene.thread(plain.begin, name="plain")
    two = scene.thread(again.begin, name="again")
    scene.waits(one, "lock", plain.lock, None, least="any")
    scene.waits(two, "rlock", again.lock, keepers[1], least="recorded")
    scene.tell(["unknown", "waiting", "stalled"], absent=["deadlock", "possible-deadlock"])
os.read(0, 1)
os._exit(0)
