"""multiprocessing's wrappers, and a Condition's lock that is taken by hand."""

import multiprocessing
import threading

import lock_scene as scene

lock, rlock, condition = multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.Condition()
by_hand = threading.Condition(threading.Lock())
waited_on = threading.Condition(threading.Lock())


def hold():
    with lock, rlock, condition:
        by_hand.acquire()
        try:
            scene.rest()
        finally:
            by_hand.release()


def wait(lock):
    with lock:
        pass


def waits_on():
    waited_on.acquire()
    try:
        waited_on.wait()
    finally:
        waited_on.release()


holder = scene.thread(hold)
for each in (lock, rlock):
    scene.waits(scene.thread(wait, each, name="wait"), "sem-lock", each._semlock, holder)
    scene.holds(holder, each._semlock)
scene.waits(scene.thread(wait, condition, name="wait"), "sem-lock", condition._lock._semlock, holder)
scene.holds(holder, condition._lock._semlock)
scene.waits(scene.thread(wait, by_hand, name="wait"), "lock", by_hand._lock, holder, "inferred")
scene.holds(holder, by_hand._lock, "inferred")
# Given back while it waits, and taken by another.
scene.thread(waits_on)
taker = scene.thread(lambda: waited_on.__enter__() and scene.rest(), name="taker")
scene.known(waited_on._lock)
scene.waits(scene.thread(wait, waited_on, name="wait"), "lock", waited_on._lock, None)
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
