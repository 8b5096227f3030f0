"""Locks behind a wrapper class, a generator's context manager, an ExitStack, a subclass."""

import contextlib
import threading

import lock_scene as scene

wrapped, generated, stacked, called = (threading.Lock() for _ in range(4))


class Subclass(threading.Condition):
    pass


class Guard:
    def __init__(self, lock):
        self.inner = lock
        self.unused = threading.Lock()

    def __enter__(self):
        self.inner.acquire()
        return self

    def __exit__(self, *details):
        self.inner.release()


@contextlib.contextmanager
def guarded():
    with generated:  # generator takes
        yield


subclass = Subclass(threading.Lock())


def hold():
    with Guard(wrapped), guarded(), subclass, contextlib.ExitStack() as stack:
        stack.enter_context(stacked)
        called.acquire()
        stack.callback(called.release)
        scene.rest()


def wait(lock):
    with lock:
        pass


holder = scene.thread(hold)
for lock, least in ((wrapped, "inferred"), (generated, "inferred"), (stacked, "inferred"), (called, "inferred")):
    scene.waits(scene.thread(wait, lock, name="wait"), "lock", lock, holder, least)
    scene.holds(holder, lock, least)
scene.waits(scene.thread(wait, subclass, name="wait"), "lock", subclass._lock, holder)
scene.holds(holder, subclass._lock)
scene.tell(["waiting", "stalled"])
