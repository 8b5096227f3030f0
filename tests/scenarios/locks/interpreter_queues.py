"""Queues between interpreters (concurrent.interpreters, new in 3.14): who gets from an empty one, in the main interpreter,
and who puts into a full one, inside of another. They wake each 10 ms to look again."""

import os
import threading

import lock_scene as scene

try:
    from concurrent import interpreters
except ImportError:
    scene.tell("waiting", absent=["deadlock", "possible-deadlock"])

empty, full = interpreters.create_queue(), interpreters.create_queue(1)
full.put(1)
inner = interpreters.create()
entered, entering = os.pipe()


def get():
    empty.get()


def get_timed():
    empty.get(timeout=100000)


def put():
    inner.prepare_main(full=full, entering=entering)
    inner.exec("import os; os.write(entering, b'.'); full.put(2)")


started = [threading.Thread(target=each, name=each.__name__, daemon=True) for each in (get, get_timed, put)]
for each in started:
    each.start()
os.read(entered, 1)
# How long a loop goes on is not seen in one turn of it.
for each, kind in zip(started, ("queue-get", "queue-get", "queue-put")):
    scene.waits(each, kind, timeout=None)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"], moving=["get", "get_timed", "put"], settled=False)
