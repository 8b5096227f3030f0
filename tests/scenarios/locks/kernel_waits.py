"""Waits on the outside: a child, a file's lock, a FIFO, a socket, a signal, a sleep."""

import ctypes
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


backlog = socket.socket(socket.AF_UNIX)
backlog.bind(os.path.join(folder, "socket"))
backlog.listen(0)
clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
clients[0].connect(os.path.join(folder, "socket"))
libc = ctypes.CDLL(None)
semaphores = libc.semget(0, 1, 0o600)
word = ctypes.c_uint32(0)


class SemaphoreOperation(ctypes.Structure):
    _fields_ = [("number", ctypes.c_ushort), ("change", ctypes.c_short), ("flags", ctypes.c_short)]


class FutexWaitv(ctypes.Structure):
    _fields_ = [
        ("value", ctypes.c_uint64), ("address", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32)
    ]


def connect():
    clients[1].connect(os.path.join(folder, "socket"))


def take_semaphore():
    libc.semop(semaphores, ctypes.byref(SemaphoreOperation(0, -1, 0)), 1)


def futex():
    libc.syscall({"x86_64": 202, "aarch64": 98}[os.uname().machine], ctypes.byref(word), 128, 0, None)


def nobody_knows():
    # futex_waitv, which no table has.
    one = FutexWaitv(0, ctypes.addressof(word), 2 | 128, 0)
    libc.syscall(449, ctypes.byref(one), 1, 0, None, 0)


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
    (connect, "connect", None),
    (take_semaphore, "semaphore", False),
    (futex, "futex", False),
    (nobody_knows, "unknown", None),
):
    scene.waits(scene.thread(target), kind, None, None, timeout=timeout)
scene.tell(["waiting", "unknown"], absent=["deadlock", "possible-deadlock", "stalled"])
