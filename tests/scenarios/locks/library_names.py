"""What lies in variables of the standard library's functions alone has no name, or its class's attribute's."""

import concurrent.futures
import logging
import sys
import threading

import lock_scene as scene

held, unwaited = threading.Lock(), threading.Lock()


class Account:
    def __init__(self):
        self._mutex = threading.Lock()

    def hold(self):
        with self._mutex:
            scene.rest()


class Rest(logging.StreamHandler):
    def emit(self, record):
        scene.rest()


def hold():
    with held, unwaited:
        scene.rest()


def wait():
    with held:
        pass


def handler():
    return [Rest()]


def log(all_of):
    all_of[0].handle(logging.makeLogRecord({}))


def results():
    next(pool.map(lambda _: scene.rest(), range(1)))


pool = concurrent.futures.ThreadPoolExecutor(1)
holder = scene.thread(hold)
scene.holds(holder, held, name="library_names.held")
scene.holds(holder, unwaited, name="library_names.unwaited")
account = Account()
scene.holds(scene.thread(account.hold), account._mutex, name="library_names.Account._mutex")
scene.waits(scene.thread(wait), "lock", held, holder, name="library_names.held")
chosen = handler()
first = scene.thread(log, chosen)
scene.waits(scene.thread(log, chosen), "rlock", chosen[0].lock, first, "recorded", name="Rest.lock")
# Up to 3.12 it is acquired by a helper that has returned, and released by one in a finally.
scene.holds(first, chosen[0].lock, "certain" if sys.version_info >= (3, 13) else "inferred")
scene.waits(scene.thread(results), "future", None, None, least="any")
scene.tell(["waiting", "stalled"])
