"""Locks in `__slots__`, of the class itself and of a base, and in a dict that lies in a slot."""

import collections
import threading

import lock_scene as scene


class Base:
    __slots__ = ("_lock",)

    def __init__(self):
        self._lock = threading.Lock()

    def hold(self):
        with self._lock:
            scene.rest()

    def wait(self):
        with self._lock:
            pass


class Derived(Base):
    __slots__ = ("locks",)

    def __init__(self):
        super().__init__()
        self.locks = collections.defaultdict(threading.Lock)

    def hold_key(self, key):
        with self.locks[key]:
            scene.rest()

    def wait_for_key(self, key):
        with self.locks[key]:
            pass


base, derived = Base(), Derived()
for each, name in ((base, "Base"), (derived, "Derived")):
    holder = scene.thread(each.hold)
    scene.holds(holder, each._lock)
    scene.waits(scene.thread(each.wait), "lock", each._lock, holder, name="slot_attributes." + name + "._lock")
for key in ("alice", 7, ("a", 1)):
    holder = scene.thread(derived.hold_key, key)
    name = "slot_attributes.Derived.locks[%r]" % (key,)
    scene.holds(holder, derived.locks[key])
    scene.waits(scene.thread(derived.wait_for_key, key), "lock", derived.locks[key], holder, name=name)
scene.tell(["waiting", "stalled"])
