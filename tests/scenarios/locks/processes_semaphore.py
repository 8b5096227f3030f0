"""A lock between processes that this process has, and one that another has."""

import multiprocessing
import os
import threading

import lock_scene as scene

context = multiprocessing.get_context("fork")
own = context.Lock()
recursive = context.RLock()
foreign = context.Lock()


def hold():
    with own, recursive:
        scene.rest()


def wait():
    own.acquire()


def wait_recursive():
    recursive.acquire()


def wait_foreign():
    foreign.acquire()


ready_end, told_end = os.pipe()
if os.fork() == 0:
    foreign.acquire()
    os.write(told_end, b"x")
    os.close(told_end)
    scene.scene._die_with_parent()
    scene.rest()
os.read(ready_end, 1)
holder = scene.thread(hold)
one = scene.thread(wait)
two = scene.thread(wait_recursive)
three = scene.thread(wait_foreign)
scene.waits(one, "sem-lock", own._semlock, holder, least="likely")
scene.waits(two, "sem-lock", recursive._semlock, holder)
scene.waits(three, "sem-lock", foreign._semlock, None)
scene.holds(holder, recursive._semlock)
scene.holds(holder, own._semlock, least="likely")
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
