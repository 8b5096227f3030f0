"""A program that has grown in one way: grown.py WAY WHAT.

deep N          one thread of N Python frames
modules FOLDER  every library of the folder is loaded, and one thread waits in the last
space GIB       so much address space is mapped, and a page in each GiB is used
Once it has come to rest in read(2), one line of JSON is written.
"""

import ctypes
import json
import mmap
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402

WAY, WHAT = sys.argv[1:3]
GIB = 1 << 30


def go_down(depth):
    if depth > 1:
        return go_down(depth - 1)
    tell()
    return os.read(scene.NEVER, 1)


def tell(**more):
    os.write(1, json.dumps({"pid": os.getpid(), **more}).encode() + b"\n")


def run():
    if WAY == "deep":
        sys.setrecursionlimit(int(WHAT) + 100)
        go_down(int(WHAT))
    elif WAY == "modules":
        libraries = [ctypes.CDLL(str(path)) for path in sorted(pathlib.Path(WHAT).glob("*.so"))]
        tell(loaded=len(libraries))
        libraries[-1].grown_wait(scene.NEVER)
    else:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
        space = mmap.mmap(-1, int(WHAT) * GIB, flags=flags)
        for at in range(0, len(space), GIB):
            space[at] = 1
        tell()
        os.read(scene.NEVER, 1)


# To 3.10 each Python call takes stack of C's.
threading.stack_size((64 << 20) if sys.version_info >= (3, 11) else GIB)
threading.Thread(target=run, daemon=True).start()
os.read(0, 1)
os._exit(0)
