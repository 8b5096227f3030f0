"""A process that is held up on its way out: phases.py atexit|teardown|daemons. Says what it is about to do, and rests."""

import atexit
import os
import sys
import threading
import time
import types

never = os.pipe()  # nothing is ever written to it


def say():
    os.write(1, b"{}\n")


def at_exit():
    say()
    os.read(never[0], 1)


class Torn:
    # What it needs is its own: the module's names are None by then.
    def __init__(self):
        self.write, self.read, self.pipe = os.write, os.read, never[0]

    def __del__(self):
        self.write(1, b"{}\n")
        self.read(self.pipe, 1)


def daemon():
    while True:
        time.sleep(0.02)


mode = sys.argv[1]
if mode == "atexit":
    atexit.register(at_exit)
if mode == "daemons":
    threading.Thread(target=daemon, name="daemon", daemon=True).start()
if mode in ("teardown", "daemons"):
    # In a module that no daemon's frame keeps alive.
    sys.modules["holder"] = types.ModuleType("holder")
    sys.modules["holder"].torn = Torn()
