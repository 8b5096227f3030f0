"""A child that was forked while another thread of the parent held a Lock and an RLock."""

import os
import sys
import threading

import lock_scene as scene

lock = threading.Lock()
rlock = threading.RLock()
both = threading.Barrier(2)


def hold():
    with lock, rlock:
        scene.rest()


scene.thread(hold)
if len(sys.argv) > 1 or os.fork() == 0:
    scene.scene._die_with_parent()

    def wait_plain():
        lock.acquire()

    def wait():
        rlock.acquire()

    threading.Thread(target=wait_plain, name="wait-plain", daemon=True).start()
    one = scene.scene.thread(wait, name="wait")
    scene.scene.wait_until_settled()
    scene.waits(one, "rlock", rlock, None, least="recorded")
    # Who could still go on could be the one that took it after the fork: nobody can.
    scene.tell(["deadlock", "possible-deadlock"], absent=[], settled=False, until=one.join)
os.read(0, 1)
os._exit(0)
