"""Threads that wait and threads that compute; an import in the middle, which may switch the GIL on. Tells a line before
it and a line after it: {gil: whether it is on, tids by name, ...}. Before the second a word is waited for.

argv[1]: the folder of the module gil_needed. argv[2]: `hold`, to rest in it afterwards with what it holds.
"""

import json
import os
import sys
import threading
import time
import warnings

sys.path[:0] = [sys.argv[1], os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios")]
import scene  # noqa: E402

lock, reentrant = threading.Lock(), threading.RLock()
never = os.pipe()
go = threading.Event()
tids = {"main": threading.get_native_id()}


def noted(target):
    def run():
        tids[target.__name__] = threading.get_native_id()
        target()

    threading.Thread(target=run, name=target.__name__, daemon=True).start()
    scene.wait_until_settled()


def owner():
    with lock, reentrant:
        os.read(never[0], 1)


def wants_lock():
    with lock:
        pass


def wants_reentrant():
    with reentrant:
        pass


def spin():
    go.wait()
    while True:
        pass


def spins_too():
    go.wait()
    while True:
        pass


def tell():
    facts = {"pid": os.getpid(), "gil": sys._is_gil_enabled(), "tids": tids}
    print(json.dumps({**facts, "lock": id(lock), "reentrant": id(reentrant)}), flush=True)


for each in (owner, wants_lock, wants_reentrant, spin, spins_too):
    noted(each)
tell()
os.read(0, 1)
warnings.simplefilter("ignore")  # that the GIL was switched on
import gil_needed  # noqa: E402

if sys.argv[2] == "hold":
    if sys._is_gil_enabled():
        go.set()
        time.sleep(0.1)
    rest = gil_needed.hold
    tell()
    rest()
tell()
os.read(0, 1)
