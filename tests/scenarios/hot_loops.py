"""Loops that ran often enough to be compiled where there is a JIT, and then block inside of what was compiled.

Each reads a pipe byte by byte until it is empty. So the last turn of the loop, which blocks, is like thousands
before it: no branch is taken that leads out of a trace. (PYTHON_JIT=1 turns the JIT on where one is built in, 3.14
on.)
"""

import os
import sys
import threading

import scene

TURNS = 12_000


def full_pipe():
    theirs, ours = os.pipe()
    os.write(ours, b"x" * TURNS)
    return theirs, ours  # it is never closed, so the last read blocks


def plain():
    pipe = full_pipe()
    turns = 0
    while True:
        turns += len(os.read(pipe[0], 1))  # plain


def take(descriptor):
    return os.read(descriptor, 1)  # take


def called():
    pipe = full_pipe()
    turns = 0
    while True:
        turns += len(take(pipe[0]))  # called


def inner(descriptor, turns):
    if turns % 2:
        return take(descriptor)
    return take(descriptor)  # inner


def nested():
    pipe = full_pipe()
    turns = 0
    for _ in range(1 << 40):
        turns += 2 * len(inner(pipe[0], turns))  # nested


def bytes_of(descriptor):
    while True:
        yield os.read(descriptor, 1)  # bytes_of


def iterated():
    pipe = full_pipe()
    turns = 0
    for each in bytes_of(pipe[0]):  # iterated
        turns += len(each)


class Reader:
    def __init__(self):
        self.pipe = full_pipe()
        self.lock = threading.Lock()

    def read(self):
        with self.lock:
            return self.read_one()  # method

    def read_one(self):
        return os.read(self.pipe[0], 1)  # read_one


def methods():
    reader = Reader()
    turns = 0
    while True:
        turns += len(reader.read())  # methods


def collected():
    pipe = full_pipe()
    total = 0
    while True:
        total += sum([len(take(pipe[0])) for _ in range(500)])  # collected


def sorted_by():
    pipe = full_pipe()
    while True:
        sorted(range(400), key=lambda _: take(pipe[0]))  # sorted_by


def countdown(descriptor, depth):
    if depth:
        return countdown(descriptor, depth - 1)  # recursive
    return os.read(descriptor, 1)  # end of recursion


def recursive():
    pipe = full_pipe()
    while True:
        countdown(pipe[0], 5)  # recursion


def tried():
    pipe = full_pipe()
    while True:
        try:
            int(take(pipe[0]))  # tried
        except ValueError:
            continue


def spin():
    turns = 0
    while True:
        turns = (turns * 7 + 1) % 1009
        if turns == 2000:
            turns = 0


WAYS = [plain, called, nested, iterated, methods, collected, sorted_by, recursive, tried]


def main():
    lines = {}
    for way in WAYS:
        scene.thread(way, name=way.__name__)
    lines["plain"] = ["plain", scene.line("plain")]
    lines["called"] = ["take", scene.line("take")]
    lines["iterated"] = ["bytes_of", scene.line("bytes_of")]
    lines["methods"] = ["read_one", scene.line("read_one")]
    lines["recursive"] = ["countdown", scene.line("end of recursion")]
    jit = getattr(sys, "_jit", None)
    scene.ready(lines=lines, jit=bool(jit and jit.is_enabled()))


if __name__ == "__main__":
    sys.exit(main())
