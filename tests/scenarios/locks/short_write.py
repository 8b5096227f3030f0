"""Writers that moved a part and wait for the reader: the stop cuts their call short, and they were in it all the same."""

import os
import socket

import lock_scene as scene

near, far = socket.socketpair()
read_end, write_end = os.pipe()


def send():
    near.sendall(b"x" * 4000000)


def write():
    os.write(write_end, b"x" * 1000000)
    scene.rest()


for target in (send, write):
    scene.waits(scene.thread(target), "write", None, None, timeout=None)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled", "running"])
