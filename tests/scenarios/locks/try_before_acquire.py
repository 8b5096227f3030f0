"""try: acquire() ... finally: release(): while it waits, the try does not make it the holder."""

import threading

import lock_scene as scene

lock = threading.Lock()


def careless():
    try:
        lock.acquire()
    finally:
        lock.release()


def hold():
    with lock:
        scene.rest()


holder = scene.thread(hold)
one = scene.thread(careless)
scene.waits(one, "lock", lock, holder)
scene.holds(holder, lock)
scene.tell(["waiting", "stalled"])
