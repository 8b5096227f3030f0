"""RLocks: an AB/BA deadlock, one that is held three times, one thread behind the cycle."""

import threading

import scene

lock_a = threading.RLock()
lock_b = threading.RLock()
lock_c = threading.RLock()
meet = threading.Barrier(2)


def first():
    with lock_a:
        meet.wait()
        with lock_b:  # first
            pass


def second():
    with lock_b:
        with lock_b:
            with lock_b:
                meet.wait()
                with lock_a:  # second
                    pass


def behind():
    lock_b.acquire()


def behind_main():
    lock_c.acquire(timeout=100000)


lock_c.acquire()
lock_c.acquire()
threads = {each.__name__: scene.thread(each, name=each.__name__) for each in (first, second)}
scene.wait_until_settled()
for each in (behind, behind_main):
    threads[each.__name__] = scene.thread(each, name=each.__name__)
tids = {name: each.native_id for name, each in threads.items()}
tids["main"] = threading.get_native_id()


def wait(thread, lock, owner, count, timeout=False):
    return {
        "thread": tids[thread],
        "kind": "rlock",
        "address": id(lock),
        "timeout": timeout,
        "owner": tids[owner],
        "count": count,
    }


scene.ready(
    lines={"first": ["first", scene.line("first")], "second": ["second", scene.line("second")]},
    waits=[
        wait("first", lock_b, "second", 3),
        wait("second", lock_a, "first", 1),
        wait("behind", lock_b, "second", 3),
        wait("behind_main", lock_c, "main", 2, True),
    ],
    verdict="deadlock",
    cycle=[tids["first"], tids["second"]],
)
