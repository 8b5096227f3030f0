"""A buffered stream whose lock is held by a thread inside its read; print to a full pipe."""

import io
import os
import threading

import lock_scene as scene

read_end, write_end = os.pipe()
stream = io.BufferedReader(io.FileIO(read_end), 100)
full_read, full_write = os.pipe()
os.set_blocking(full_write, False)
try:
    while True:
        os.write(full_write, b"x" * 65536)
except BlockingIOError:
    pass
os.set_blocking(full_write, True)
text = io.TextIOWrapper(io.BufferedWriter(io.FileIO(full_write, "w"), 100), write_through=True)


def read():
    stream.read(1)


def read_too():
    stream.read(1)


def say():
    print("x" * 1000, file=text)


one = scene.thread(read)
two = scene.thread(read_too)
three = scene.thread(say, name="say")
four = scene.thread(say, name="say-too")
scene.waits(one, "read", None, None, timeout=None)
scene.waits(two, "io-lock", stream, one)
scene.waits(three, "write", None, None, timeout=None)
scene.waits(four, "io-lock", text.buffer, three)
scene.tell(["waiting", "stalled"], absent=["deadlock", "possible-deadlock"])
