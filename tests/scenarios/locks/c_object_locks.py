"""Two threads in one zlib object: the lock inside of it."""

import os
import threading

import lock_scene as scene

try:
    import zlib
except ImportError:
    scene.tell("waiting")
import io

data = os.urandom(1 << 16)
compressor = zlib.compressobj(9)
busy = threading.Event()


class Endless:
    pass


def compress():
    chunk = data * 8000
    busy.set()
    compressor.compress(chunk)


one = scene.scene.thread(compress, name="one")
busy.wait()
import time

time.sleep(0.2)
two = scene.scene.thread(compress, name="two")
time.sleep(0.2)
scene.waits(two, "c-lock", compressor, None)
scene.tell(["running", "waiting"], absent=["deadlock", "possible-deadlock"], settled=False)
