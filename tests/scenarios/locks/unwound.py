"""An exception leaves a frame whose `with` blocks were left before, and a profiler is told of it: nothing is held there
any more."""

import sys
import threading

import lock_scene as scene


lock = threading.Lock()


def profile(frame, event, argument):
    if event == "return" and frame.f_code.co_name == "leave":
        scene.rest()


def leave():
    sys.setprofile(profile)
    with lock:
        raise ValueError(1)


def take():
    with lock:
        scene.rest()


def wait():
    lock.acquire()


scene.thread(leave)
two = scene.thread(take)
three = scene.thread(wait)
scene.waits(three, "lock", lock, two, name="lock")
scene.holds(two, lock)
scene.tell(["stalled", "waiting"], absent=["deadlock", "possible-deadlock"])
