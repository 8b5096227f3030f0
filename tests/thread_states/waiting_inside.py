"""Threads of a subinterpreter that wait for each other: waiting_inside.py lock|deadlock|contention. Tells, and rests.

What the subinterpreter runs tells of itself; its first thread is one of ours, the others it starts by itself.
"""

import collections
import itertools
import json
import os
import sys
import threading
import time

import subinterpreter

PRELUDE = """
import json, os, threading, time
def own_tid():
    return int(os.readlink("/proc/thread-self").split("/")[-1])
def rest():
    os.read({never}, 1)
def tell(**truth):
    os.write({told}, (json.dumps(dict(truth, teller=own_tid())) + chr(10)).encode())
"""

LOCK = """
lock = threading.Lock()
tids = {{}}
taken, wanted = threading.Event(), threading.Event()
def has():
    tids["owner"] = own_tid()
    with lock:
        taken.set()
        rest()
def wants():
    tids["waiter"] = own_tid()
    wanted.set()
    with lock:
        pass
threading.Thread(target=has, name="has").start()
taken.wait()
threading.Thread(target=wants, name="wants").start()
wanted.wait()
tell(lock=id(lock), **tids)
rest()
"""

DEADLOCK = """
first, second = threading.Lock(), threading.Lock()
tids, both = [], threading.Barrier(3)
def cross(mine, other):
    tids.append(own_tid())
    with mine:
        both.wait()
        with other:
            pass
threading.Thread(target=cross, args=(first, second), name="one").start()
threading.Thread(target=cross, args=(second, first), name="two").start()
both.wait()
tell(locks=[id(first), id(second)], tids=sorted(tids))
rest()
"""

# Begins when the teller rests: it would not come to it otherwise.
CONTENTION = """
import collections, itertools
tids, teller = {{}}, own_tid()
started = threading.Barrier(3)
def rests():
    with open("/proc/self/task/%d/syscall" % teller) as file:
        return file.read().startswith("0 ")
def holds():
    tids["holder"] = own_tid()
    started.wait()
    while not rests():
        time.sleep(0.02)
    collections.deque(itertools.repeat(None), maxlen=0)
def wants():
    tids["waiter"] = own_tid()
    started.wait()
    while not rests():
        time.sleep(0.02)
    while True:
        pass
for each in (holds, wants):
    threading.Thread(target=each, name=each.__name__).start()
started.wait()
tell(**tids)
rest()
"""

SOURCES = {"lock": LOCK, "deadlock": DEADLOCK, "contention": CONTENTION}
never, _kept = os.pipe()
told_read, told_write = os.pipe()
mode = sys.argv[1]
source = (PRELUDE + SOURCES[mode]).format(never=never, told=told_write)
inner = subinterpreter.create(isolated=mode == "contention")
threading.Thread(target=subinterpreter.run, args=(inner, source), name="host", daemon=True).start()
line = b""
while not line.endswith(b"\n"):
    line += os.read(told_read, 4096)
truth = {"inner": json.loads(line.decode())}
main_tid = os.getpid()


def main_rests():
    with open("/proc/self/task/%d/syscall" % main_tid, encoding="ascii") as file:
        return file.read().startswith("0 0x0 ")


def main_holds():
    while not main_rests():
        time.sleep(0.02)
    collections.deque(itertools.repeat(None), maxlen=0)


def main_wants():
    while not main_rests():
        time.sleep(0.02)
    while True:
        pass


if mode == "contention":
    threads = [threading.Thread(target=each, daemon=True) for each in (main_holds, main_wants)]
    for each in threads:
        each.start()
    truth["main"] = dict(zip(("holder", "waiter"), (each.native_id for each in threads)))
print(json.dumps(truth), flush=True)
os.read(0, 1)
os._exit(0)
