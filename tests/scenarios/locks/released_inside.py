"""A with block whose Lock was released by hand inside: another thread has it now."""

import threading

import lock_scene as scene

lock = threading.Lock()
released = threading.Event()


def lend():
    with lock:
        lock.release()
        released.set()
        scene.rest()


def borrow():
    released.wait()
    with lock:
        scene.rest()


def wait():
    lock.acquire()


one = scene.scene.thread(lend, name="lend")
two = scene.thread(borrow)
three = scene.thread(wait)
scene.waits(three, "lock", lock, two, "likely")
scene.holds(two, lock, "likely")
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
