"""Generators that run: one, nested by yield from, one driven by C, one that is sent to, one thrown into, closed."""

import collections
import contextlib
import os

import scene


def blocks():
    yield 1
    os.read(scene.NEVER, 1)  # blocks
    yield 2


def inner():
    yield from blocks()


def outer():
    received = yield from inner()
    return received


def runs():
    for _ in blocks():
        pass


def runs_nested():
    for _ in outer():
        pass


def runs_from_c():
    collections.deque(outer(), maxlen=0)


def runs_unpacked():
    _first, _second = inner()


def receiver():
    while True:
        fd = yield
        os.read(fd, 1)  # receiver


def sends():
    running = receiver()
    next(running)
    running.send(scene.NEVER)


def catcher():
    try:
        yield
    except KeyError:
        os.read(scene.NEVER, 1)  # catcher


def throws():
    running = catcher()
    next(running)
    running.throw(KeyError("thrown in"))


def closed():
    try:
        yield
    finally:
        os.read(scene.NEVER, 1)  # closed


def closes():
    running = closed()
    next(running)
    running.close()


@contextlib.contextmanager
def managed():
    yield
    os.read(scene.NEVER, 1)  # managed


def leaves_block():
    with managed():
        pass


class Iterates:
    def __iter__(self):
        yield from outer()


def runs_method():
    list(Iterates())


suspended = blocks()
next(suspended)

for each in (runs, runs_nested, runs_from_c, runs_unpacked, sends, throws, closes, leaves_block, runs_method):
    scene.thread(each, name=each.__name__)
scene.ready(
    lines={
        "runs": ["blocks", scene.line("blocks")],
        "sends": ["receiver", scene.line("receiver")],
        "throws": ["catcher", scene.line("catcher")],
        "closes": ["closed", scene.line("closed")],
        "leaves_block": ["managed", scene.line("managed")],
    }
)
