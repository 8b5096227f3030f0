"""A producer and consumers at rest around a queue."""

import queue
import threading

import lock_scene as scene

work = queue.Queue(maxsize=2)


def consume():
    while True:
        work.get()


def produce():
    while True:
        scene.rest()
        work.put(1)


consumers = [scene.thread(consume, name="consume-%d" % i) for i in range(3)]
producer = scene.thread(produce)
for each in consumers:
    scene.waits(each, "queue-get", work, None)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
