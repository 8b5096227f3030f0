"""A lock that a called function gave back inside its block belongs to whoever took it since."""

import threading

import lock_scene as scene

lock = threading.Lock()
free = threading.Event()


def let_go(lock):
    lock.release()
    free.set()
    scene.rest()


def gives():
    with lock:
        let_go(lock)


def takes():
    free.wait()
    with lock:
        scene.rest()


def wait():
    lock.acquire()


giver = scene.thread(gives)
taker = scene.thread(takes)
scene.waits(scene.thread(wait), "lock", lock, taker)
scene.holds(taker, lock)
scene.tell(["waiting", "stalled"])
