"""Thread states as C code leaves them. Tells {tids, what} and rests."""

import ctypes
import json
import os
import sys
import threading
import time

states = ctypes.PyDLL(sys.argv[1])
mode = sys.argv[2]
never = os.pipe()
told_read, told_write = os.pipe()
kept = []

CODE = """
import os
def inner():
    # The tid as the kernel knows it, without threading: a subinterpreter has its own.
    os.write({}, (os.readlink('/proc/thread-self') + chr(10)).encode())
    os.read({}, 1)
inner()
"""


def code():
    kept.append(ctypes.c_char_p(CODE.format(told_write, never[0]).encode()))
    return kept[-1]


def told():
    data = b""
    while not data.endswith(b"\n"):
        data += os.read(told_read, 1)
    return int(data.split(b"/")[-1])


def outer():
    states.enter(code())


def parks():
    os.write(told_write, (os.readlink("/proc/thread-self") + "\n").encode())
    states.park()


truth = {"main": os.getpid()}
if mode == "enter":
    threading.Thread(target=outer, name="outer", daemon=True).start()
    truth["tid"] = told()
elif mode == "park":
    threading.Thread(target=parks, name="parks", daemon=True).start()
    truth["tid"] = told()
elif mode == "ensure":
    states.ensure(code())
    truth["tid"] = told()
elif mode == "move":
    states.move(code())
    truth["tid"] = told()
elif mode == "leave":
    states.leave()
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.01)
    truth["tid"] = None
print(json.dumps(truth), flush=True)
os.read(0, 1)
os._exit(0)
