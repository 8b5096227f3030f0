"""A cycle of three through a Lock, an RLock and a Condition, in instances of a class."""

import threading

import lock_scene as scene

class Account:
    def __init__(self, lock):
        self._lock = lock


accounts = [Account(threading.Lock()), Account(threading.RLock()), Account(threading.Condition())]
meet = threading.Barrier(3)


def transfer(source, target):
    with source._lock:  # takes
        meet.wait()
        with target._lock:
            pass


threads = [
    scene.scene.thread(transfer, accounts[i], accounts[(i + 1) % 3], name="transfer-%d" % i) for i in range(3)
]
locks = [accounts[0]._lock, accounts[1]._lock, accounts[2]._lock._lock]
kinds = ["lock", "rlock", "rlock"]
for i in range(3):
    after = (i + 1) % 3
    scene.waits(threads[i], kinds[after], locks[after], threads[after])
    scene.holds(threads[i], locks[i], taken=scene.line("takes"))
scene.tell("deadlock", "lock-cycle", threads)
