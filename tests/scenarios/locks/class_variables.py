"""Locks that are a class's variable, used through the class, which no frame has in a variable."""

import threading

import lock_scene as scene


class Pool:
    lock = threading.Lock()


class Keyed:
    by_name = {"alice": threading.Lock()}


def hold():
    with Pool.lock, Keyed.by_name["alice"]:
        scene.rest()


def wait():
    with Pool.lock:
        pass


def wait_for_key():
    with Keyed.by_name["alice"]:
        pass


holder = scene.thread(hold)
one = scene.thread(wait)
other = scene.thread(wait_for_key)
scene.waits(one, "lock", Pool.lock, holder, name="class_variables.Pool.lock")
scene.waits(other, "lock", Keyed.by_name["alice"], holder, name="class_variables.Keyed.by_name['alice']")
scene.holds(holder, Pool.lock)
scene.holds(holder, Keyed.by_name["alice"])
scene.tell(["waiting", "stalled"])
