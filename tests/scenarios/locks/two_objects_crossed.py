"""Pairs of threads work on the same two objects in opposite orders without an end: no look may take it for a deadlock,
for each pair of mutexes is locked in one order, that of their addresses (free-threaded builds)."""

import sys
import time

import lock_scene as scene

if getattr(sys, "_is_gil_enabled", lambda: True)():
    scene.tell("waiting", absent=["deadlock"])  # with a GIL there are no critical sections

SIZE = 20_000
lists = [list(range(SIZE)), list(range(SIZE))]
dicts = [dict.fromkeys(range(SIZE)), dict.fromkeys(range(SIZE))]
sets = [set(range(SIZE)), set(range(SIZE))]


def compare(left, right):
    while True:
        left == right


def merge(left, right):
    while True:
        left |= right


for what, (one, other) in ((compare, lists), (compare, dicts), (merge, dicts), (merge, sets)):
    for order, operands in (("there", (one, other)), ("back", (other, one))):
        scene.scene.thread(what, *operands, name="%s %s %s" % (what.__name__, type(one).__name__, order))
time.sleep(0.3)
scene.tell(
    ["running", "waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"], looks=12, settled=False
)
