"""Queue get, put and join, and SimpleQueue get."""

import queue
import threading

import lock_scene as scene

empty = queue.Queue()
full = queue.LifoQueue(maxsize=1)
full.put(1)
unfinished = queue.PriorityQueue()
unfinished.put(1)
simple = queue.SimpleQueue() if hasattr(queue, "SimpleQueue") else None  # new in 3.7


def get():
    empty.get()


def get_timed():
    empty.get(timeout=100000)


def put():
    full.put(2)


def join():
    unfinished.join()


def get_simple():
    simple.get()


scene.waits(scene.thread(get), "queue-get", empty, None, name="empty")
scene.waits(scene.thread(get_timed), "queue-get", empty, None, timeout=True)
scene.waits(scene.thread(put), "queue-put", full, None, name="full")
scene.waits(scene.thread(join), "queue-join", unfinished, None, name="unfinished")
if simple:
    scene.waits(scene.thread(get_simple), "queue-get", simple, None, name="simple")
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
