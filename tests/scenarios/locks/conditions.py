"""Waiting on a Condition, re-acquiring its lock, and wait_for."""

import threading

import lock_scene as scene

rlocked = threading.Condition()
locked = threading.Condition(threading.Lock())
held = threading.Event()


def wait():
    with rlocked:
        rlocked.wait()


def wait_until():
    with locked:
        locked.wait_for(lambda: False)


def timed():
    with rlocked:
        rlocked.wait(100000)


again = threading.Condition()
again_plain = threading.Condition(threading.Lock())


def reacquire():
    with again:
        again.wait()


def reacquire_plain():
    with again_plain:
        again_plain.wait()


def hold():
    with again, again_plain:
        again.notify_all()
        again_plain.notify_all()
        scene.rest()


one, two, three = scene.thread(wait), scene.thread(wait_until), scene.thread(timed)
four, five = scene.thread(reacquire), scene.thread(reacquire_plain)
holder = scene.thread(hold)
scene.waits(one, "condition", rlocked, None, name="rlocked")
scene.waits(two, "condition", locked, None, name="locked")
scene.waits(three, "condition", rlocked, None, timeout=True)
scene.waits(four, "rlock", again._lock, holder)
scene.waits(five, "lock", again_plain._lock, holder)
scene.known(rlocked._lock)
scene.known(locked._lock)
scene.holds(holder, again._lock)
scene.holds(holder, again_plain._lock)
scene.tell(["waiting", "stalled"])
