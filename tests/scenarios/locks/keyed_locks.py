"""Locks by key: of a module's dict, one with more keys than are looked into, and of an attribute."""

import collections
import threading

import lock_scene as scene


class Bank:
    def __init__(self):
        self.locks = {"carol": threading.Lock()}

    def hold(self):
        with self.locks["carol"]:
            scene.rest()

    def wait(self):
        with self.locks["carol"]:
            pass


locks = collections.defaultdict(threading.Lock)
for number in range(1000):
    locks["user-%d" % number]  # noqa: B018
bank = Bank()


def hold(key):
    with locks[key]:
        scene.rest()


def wait(key):
    with locks[key]:
        pass


for key in ("alice", "user-900", 12):
    holder = scene.thread(hold, key)
    one = scene.thread(wait, key)
    scene.holds(holder, locks[key])
    scene.waits(one, "lock", locks[key], holder, name="keyed_locks.locks[%r]" % key)
holder = scene.thread(bank.hold)
scene.holds(holder, bank.locks["carol"])
scene.waits(scene.thread(bank.wait), "lock", bank.locks["carol"], holder, name="keyed_locks.Bank.locks['carol']")
scene.tell(["waiting", "stalled"])
