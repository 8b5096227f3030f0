"""Threads that sleep, each in its own way, at lines known from this file."""

import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time

import scene


def reads():
    os.read(scene.NEVER, 1)  # reads


def sleeps():
    time.sleep(100000)  # sleeps


def polls():
    poll = select.poll()
    poll.register(scene.NEVER, select.POLLIN)
    poll.poll()  # polls


def selects():
    select.select([scene.NEVER], [], [], 100000)  # selects


def accepts():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("\0pythreads-%d" % os.getpid())
        listener.listen(1)
        listener.accept()  # accepts


def receives():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)  # receives


def waits_for_child():
    child = subprocess.Popen([sys.executable, "-ISc", "import os; os.read(0, 1)"], stdin=scene.NEVER)
    child.wait()  # waits_for_child


def waits_for_event():
    threading.Event().wait()  # waits_for_event


def waits_for_event_timed():
    threading.Event().wait(100000)  # waits_for_event_timed


def waits_for_condition():
    condition = threading.Condition()
    with condition:
        condition.wait()  # waits_for_condition


def gets():
    queue.Queue().get()  # gets


def gets_simple():
    queue.SimpleQueue().get()  # gets_simple


def joins():
    threading.current_thread().other.join()  # joins


def multi_line():
    os.read(
        scene.NEVER,
        len(
            "x"
        ),
    )


WAYS = [
    reads,
    sleeps,
    polls,
    selects,
    accepts,
    receives,
    waits_for_child,
    waits_for_event,
    waits_for_event_timed,
    waits_for_condition,
    gets,
    gets_simple,
]


if not hasattr(queue, "SimpleQueue"):  # new in 3.7
    WAYS.remove(gets_simple)


def main():
    lines = {}
    for way in WAYS:
        scene.thread(way, name=way.__name__)
        lines[way.__name__] = [way.__name__, scene.line(way.__name__)]
    scene.thread(multi_line, name="multi_line")
    other = scene.thread(reads, name="reads_too")
    joiner = threading.Thread(target=joins, name="joins", daemon=True)
    joiner.other = other
    joiner.start()
    lines["joins"] = ["joins", scene.line("joins")]
    scene.ready(lines=lines)


if __name__ == "__main__":
    sys.exit(main())
