"""Calls 900 deep: Python to Python in one evaluation loop, and through C, with a loop for each call."""

import functools
import os
import threading

import scene

DEEP = 900


def down(left):
    if left == 1:
        os.read(scene.NEVER, 1)  # down
    return down(left - 1) + 1


def down_through_c(left):
    if left == 1:
        os.read(scene.NEVER, 1)  # down_through_c
    return functools.reduce(lambda left, _: down_through_c(left) + 1, [left - 1, None])


def even(left):
    return left == 0 or odd(left - 1)


def odd(left):
    if left == 1:
        os.read(scene.NEVER, 1)
    return even(left - 1)


threading.stack_size(64 << 20)
scene.thread(down, DEEP, name="down")
scene.thread(down_through_c, DEEP // 9, name="down_through_c")
scene.thread(odd, 401, name="odd")
threading.stack_size(0)
scene.ready(
    lines={"down": ["down", scene.line("down")], "down_through_c": ["down_through_c", scene.line("down_through_c")]},
    depths={"down": DEEP},
)
