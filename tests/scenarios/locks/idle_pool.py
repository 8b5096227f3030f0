"""Two hundred idle workers and one deadlocked pair."""

import concurrent.futures
import threading

import lock_scene as scene

class Account:
    def __init__(self):
        self._lock = threading.Lock()


alice = Account()
bob = Account()
meet = threading.Barrier(2)


def transfer(source, target):
    with source._lock:  # takes
        meet.wait()
        with target._lock:  # wants
            pass


pool = concurrent.futures.ThreadPoolExecutor(200, thread_name_prefix="pool")
gate = threading.Barrier(200)
for _ in range(200):
    pool.submit(gate.wait)
one = scene.scene.thread(transfer, alice, bob, name="transfer-1")
two = scene.thread(transfer, bob, alice, name="transfer-2")
for each in threading.enumerate():
    scene.scene._native_ids[each.ident] = each.native_id
    if each.name.startswith("pool"):
        scene.waits(each, "idle")
scene.waits(one, "lock", bob._lock, two, name="Account._lock")
scene.waits(two, "lock", alice._lock, one, name="Account._lock")
scene.holds(one, alice._lock, taken=scene.line("takes"))
scene.holds(two, bob._lock, taken=scene.line("takes"))
scene.tell("deadlock", "lock-cycle", [one, two])
