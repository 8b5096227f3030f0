"""Plain Locks: an AB/BA deadlock, several behind one lock, one with a time limit, one after the other."""

import threading

import scene

lock_a = threading.Lock()
lock_b = threading.Lock()
lock_c = threading.Lock()
meet = threading.Barrier(2)


def first():
    with lock_a:
        meet.wait()
        with lock_b:  # first
            pass


def second():
    with lock_b:
        meet.wait()
        lock_a.acquire()  # second


def behind():
    with lock_a:
        pass


def timed():
    lock_c.acquire(timeout=100000)


def keyword():
    lock_c.acquire(blocking=True)


lock_c.acquire()
threads = {
    each.__name__: scene.thread(each, name=each.__name__) for each in (first, second)
}
scene.wait_until_settled()
for each in (behind, timed, keyword):
    threads[each.__name__] = scene.thread(each, name=each.__name__)


def wait(thread, lock, timeout=False):
    return {"thread": threads[thread].native_id, "kind": "lock", "address": id(lock), "timeout": timeout}


scene.ready(
    lines={"first": ["first", scene.line("first")], "second": ["second", scene.line("second")]},
    waits=[
        wait("first", lock_b),
        wait("second", lock_a),
        wait("behind", lock_a),
        wait("timed", lock_c, True),
        wait("keyword", lock_c),
    ],
    verdict="deadlock",
)
