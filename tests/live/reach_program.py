"""One program that shows all a dump can say: what `reach_test.py` starts on each interpreter in each way.

Two threads are deadlocked on two Locks, one waits for an RLock that the main thread has, one keeps the GIL inside C
while another wants it, one has locals, one sleeps. It tells the truth as scenarios do, and needs no module that a
small build leaves out.
"""

import collections
import itertools
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios"))
import scene  # noqa: E402

lock_a = threading.Lock()
lock_b = threading.Lock()
again = threading.RLock()
meet = threading.Barrier(2)


def first():
    with lock_a:
        meet.wait()
        with lock_b:  # first
            pass


def second():
    with lock_b:
        meet.wait()
        with lock_a:  # second
            pass


def behind():
    with again:
        pass


def has_locals(number, *rest, flag=True):
    text = "a text"
    pair = (1, 2.5)
    os.read(scene.NEVER, 1)
    return number, rest, flag, text, pair


def sleeps():
    time.sleep(1000000)


def spins():
    count = 0
    while True:
        count += 1


def teller_rests():
    with open("/proc/self/task/%d/syscall" % os.getpid(), "rb") as file:  # no codec: a module of its own
        return file.read().startswith(b"0 0x0 ")  # read(0, …


def holds():
    while not teller_rests():
        time.sleep(0.02)
    collections.deque(itertools.repeat(None), maxlen=0)  # holds


def main():
    threads = {each.__name__: scene.thread(each, name=each.__name__) for each in (first, second, sleeps)}
    threads["has_locals"] = scene.thread(has_locals, 12345, None, name="has locals")
    with again:
        threads["behind"] = scene.thread(behind, name="behind")
        scene.wait_until_settled()
        holder = scene.thread(holds, name="holder")
        spinner = scene.thread(spins, name="spinner")
        tids = {name: each.native_id for name, each in threads.items()}

        def wait(thread, kind, lock, name, owner):
            return {"thread": tids[thread], "kind": kind, "address": id(lock), "name": name, "owner": owner}

        scene.ready(
            moving=["holder", "spinner"],
            lines={"first": ["first", scene.line("first")], "second": ["second", scene.line("second")]},
            gil={"holder": holder.native_id, "waiters": [spinner.native_id]},
            still={"holder": ["holds", scene.line("holds")]},
            locals={"has locals": {"number": "12345", "flag": "True", "text": "'a text'", "pair": "(1, 2.5)"}},
            reach=[
                wait("first", "lock", lock_b, "lock_b", tids["second"]),
                wait("second", "lock", lock_a, "lock_a", tids["first"]),
                wait("behind", "rlock", again, "again", threading.get_native_id()),
            ],
            deadlocked=[tids["first"], tids["second"]],
        )


main()
