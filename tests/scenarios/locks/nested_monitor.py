"""A thread waits on a condition while it holds the lock that its notifier needs."""

import threading

import lock_scene as scene

outer = threading.Lock()
inner = threading.Condition()


def waiter():
    with outer:
        with inner:
            inner.wait()


def notifier():
    with outer:
        with inner:
            inner.notify_all()


one = scene.thread(waiter)
two = scene.thread(notifier)
scene.waits(one, "condition", inner, None)
scene.waits(two, "lock", outer, one)
scene.holds(one, outer)
scene.known(inner._lock)
scene.tell(["possible-deadlock"], "lost-wakeup", [one, two])
