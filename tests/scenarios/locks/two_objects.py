"""A critical section of two objects is held inside a native call; others want the two together, in both orders, and
one of them alone (free-threaded builds).

CPython locks the two in the order of their addresses, whatever the order of the operands: who waits for the first has
neither, who waits for the second has the first, of which there is no record (Python/critical_section.c).
"""

import ctypes
import sys
import threading
import time

import lock_scene as scene

if getattr(sys, "_is_gil_enabled", lambda: True)():
    scene.tell("waiting", absent=["deadlock"])  # with a GIL there are no critical sections

libc = ctypes.PyDLL(None)
begin = ctypes.pythonapi.PyCriticalSection2_Begin
begin.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
begin.restype = None
go = threading.Event()


def in_order(kind, count=1):
    """Objects whose addresses rise."""
    return sorted((kind(range(3)) for _ in range(count)), key=id)


lists = in_order(list, 3)
sets = in_order(set, 3)
low, middle, high = lists
section = (ctypes.c_void_p * 3)()
section_of_sets = (ctypes.c_void_p * 3)()


def hold_lists():
    start, pause, first, second, place = begin, libc.pause, middle, high, ctypes.addressof(section)
    go.wait()
    start(place, second, first)
    pause()


def hold_sets():
    start, pause, first, second, place = begin, libc.pause, sets[0], sets[1], ctypes.addressof(section_of_sets)
    go.wait()
    start(place, first, second)
    pause()


def after(what, *operands):
    go.wait()
    time.sleep(0.3)
    what(*operands)


def compare(left, right):
    left == right


def extend(left, right):
    left.extend(right)


def update(left, right):
    left |= right


def start(name, what, *operands):
    return scene.scene.thread(after, what, *operands, name=name)


holder = scene.scene.thread(hold_lists, name="hold lists")
set_holder = scene.scene.thread(hold_sets, name="hold sets")
for one in (
    start("== in order", compare, middle, high),
    start("== the other way round", compare, high, middle),
    # Both: the first of its two is free, and is its own while it waits for the second.
    start("extend", extend, low, middle),
):
    scene.waits(one, "critical-section", middle, holder)
scene.waits(start("alone", high.append, 1), "critical-section", high, holder)
for one in (start("|=", update, sets[0], sets[1]), start("|= the other way round", update, sets[1], sets[0])):
    scene.waits(one, "critical-section", sets[0], set_holder)
scene.waits(holder, "signal")
scene.waits(set_holder, "signal")
scene.holds(holder, middle)
scene.holds(holder, high)
scene.holds(set_holder, sets[0])
scene.holds(set_holder, sets[1])


def first_is_wanted():
    """Comes when `extend` waits: the list that it has is wanted as well. By whom it is held, nothing tells."""
    go.wait()
    time.sleep(0.6)
    low.append(1)


scene.waits(scene.scene.thread(first_is_wanted, name="first"), "critical-section", low)
go.set()
time.sleep(1)
scene.tell(
    ["stalled", "unknown"], absent=["deadlock", "possible-deadlock"], settled=False, until=lambda: time.sleep(100000)
)
