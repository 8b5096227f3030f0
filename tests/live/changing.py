"""A program that changes while it is looked at. A line on standard input says how; each is answered by a line of JSON.

remake         from now on one thread makes, runs and forgets functions: the same names, the same file, the same first
               line, but the one that waits stands VERSION lines below, and so does its caller's call. Freed code objects
               make room for new ones at the same addresses.
remade         how often it did, and how many of the code objects lay where another one had lain
load LIBRARY   a thread calls LIBRARY's wait_in_library(descriptor), which never returns
execute        the program becomes another one
"""

import ctypes
import json
import os
import sys
import threading
import time

VERSIONS = 250
NEVER, _keep = os.pipe()
made = {"count": 0, "reused": 0}


def source(version):
    blank = "\n" * version
    return f"def inner(wait):\n{blank} wait()\n", f"def outer(inner, wait):\n{blank} inner(wait)\n"


def remake():
    before = {}
    while True:
        version = made["count"] % VERSIONS
        space = {}
        for text in source(version):
            exec(compile(text, "made.py", "exec"), space)
        for name in ("inner", "outer"):
            at = id(space[name].__code__)
            made["reused"] += before.get(at, version) != version
            before[at] = version
        space["outer"](space["inner"], lambda: time.sleep(0.005))
        space.clear()  # or a cycle keeps them
        made["count"] += 1


def main():
    sys.setswitchinterval(0.001)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        word, *arguments = line.split()
        answer = {}
        if word == "remake":
            threading.Thread(target=remake, daemon=True).start()
        elif word == "remade":
            answer = made
        elif word == "load":
            library = ctypes.CDLL(arguments[0])
            threading.Thread(target=library.wait_in_library, args=(NEVER,), daemon=True).start()
        elif word == "execute":
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)"])
        print(json.dumps(answer), flush=True)


main()
