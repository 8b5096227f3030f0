"""Managers of a program's own: slots, a base's exit, arguments passed on, a release behind a branch, a lock of the
class, a lock that exit takes and gives back itself."""

import contextlib
import subprocess
import sys
import threading

import lock_scene as scene


class Slots:
    __slots__ = ("_lock",)

    def __init__(self):
        self._lock = threading.Lock()

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *details):
        return self._lock.__exit__(*details)


class Base:
    def __init__(self):
        self.mutex = threading.Lock()
        self.changes = threading.Lock()
        self.log = []

    def __enter__(self):
        self.mutex.acquire()
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.log.append(kind)
        self.mutex.release()


class Derived(Base):
    def __exit__(self, *details):
        with self.changes:
            self.log.append(1)
        super().__exit__(*details)


class OfClass:
    lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *details):
        self.lock.release()


class Nested:
    def __init__(self):
        self.state = Base()

    def __enter__(self):
        self.state.mutex.acquire()

    def __exit__(self, *details):
        try:
            self.state.log.append(2)
        finally:
            self.state.mutex.release()


class Balanced:
    """Its exit takes its lock for a moment; the block does not have it."""

    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.lock.acquire()
        try:
            pass
        finally:
            self.lock.release()


class WithInside:
    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        with self.lock:
            pass


slots, derived, of_class, nested = Slots(), Derived(), OfClass(), Nested()
balanced, with_inside = Balanced(), WithInside()
plain, generated, aliased, elsewhere = (threading.Lock() for _ in range(4))


@contextlib.contextmanager
def by_hand():
    generated.acquire()
    try:
        yield
    finally:
        generated.release()


# New in 3.7.
nothing = contextlib.nullcontext(elsewhere) if hasattr(contextlib, "nullcontext") else contextlib.ExitStack()


def hold():
    with slots, derived, of_class, nested, by_hand(), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.ExitStack()).enter_context(aliased)
        with balanced, with_inside, nothing, contextlib.suppress(KeyError):
            scene.rest()


def with_process():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started.append(process)
        scene.rest()


def hold_others():
    with balanced.lock, with_inside.lock, elsewhere:
        scene.rest()


def hold_process():
    # As another thread in process.wait() does.
    with started[0]._waitpid_lock:
        scene.rest()


def wait(lock):
    lock.acquire()


started = []
holder = scene.thread(hold)
others = scene.thread(hold_others)
scene.thread(with_process)
of_process = scene.thread(hold_process)
for lock in (slots._lock, derived.mutex, of_class.lock, nested.state.mutex, generated, aliased):
    scene.waits(scene.thread(wait, lock, name="wait"), "lock", lock, holder, "inferred")
    scene.holds(holder, lock, "inferred")
for lock in (balanced.lock, with_inside.lock, elsewhere):
    scene.waits(scene.thread(wait, lock, name="wait"), "lock", lock, others)
    scene.holds(others, lock)
scene.waits(scene.thread(wait, started[0]._waitpid_lock, name="wait"), "lock", started[0]._waitpid_lock, of_process)
scene.holds(of_process, started[0]._waitpid_lock)
scene.tell(["waiting", "stalled"])
