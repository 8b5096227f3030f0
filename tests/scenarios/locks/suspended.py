"""Locks inside a suspended generator, in a variable and in a for loop."""

import threading

import lock_scene as scene

in_variable = threading.Lock()
in_loop = threading.Lock()
in_chain = threading.Lock()


def yields(lock):
    with lock:
        yield 1
        yield 2


def delegates(lock):
    yield from yields(lock)


def hold():
    kept = yields(in_variable)
    next(kept)
    chain = delegates(in_chain)
    next(chain)
    for _ in yields(in_loop):
        scene.rest()


def wait(lock):
    lock.acquire()


holder = scene.thread(hold)
for lock in (in_variable, in_loop, in_chain):
    scene.waits(scene.thread(wait, lock, name="wait"), "lock", lock, holder, "inferred")
    scene.holds(holder, lock, "inferred")
scene.tell(["waiting", "stalled"])
