"""Waits on the outside: a child, a file's lock, a FIFO, a socket, a signal, a sleep."""

import fcntl
import os
import select
import signal
import socket
import tempfile
import time
import threading

import lock_scene as scene

child = os.fork()
if child == 0:
    os.read(scene.NEVER, 1)
    os._exit(0)
folder = tempfile.mkdtemp()
fifo = os.path.join(folder, "fifo")
os.mkfifo(fifo)
path = os.path.join(folder, "file")
first, second = open(path, "w"), open(path, "w")
fcntl.flock(first, fcntl.LOCK_EX)
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(1)


def wait_child():
    os.waitpid(child, 0)


def lock_file():
    fcntl.flock(second, fcntl.LOCK_EX)


def open_fifo():
    open(fifo)


def accept():
    server.accept()


def poll():
    select.select([scene.NEVER], [], [])


def sleep():
    time.sleep(100000)


def wait_signal():
    signal.sigwait([signal.SIGUSR2])


for target, kind, timeout in (
    (wait_child, "child", False),
    (lock_file, "file-lock", False),
    (open_fifo, "open", False),
    (accept, "accept", None),
    (poll, "poll", False),
    (sleep, "sleep", True),
    (wait_signal, "signal", False),
):
    scene.waits(scene.thread(target), kind, None, None, timeout=timeout)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
