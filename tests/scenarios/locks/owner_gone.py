"""An RLock whose thread ended without releasing it, and whose ident no new thread has got."""

import threading

import lock_scene as scene

lock = threading.RLock()


def leave():
    lock.acquire()


def wait():
    lock.acquire()


# A small stack is of no use to the threads that come after it, so its ident is not used again.
threading.stack_size(128 * 1024)
gone = scene.scene.thread(leave, name="leave")
gone.join()
threading.stack_size(0)
one = scene.thread(wait)
assert one.ident != gone.ident
scene.waits(one, "rlock", lock, None)
scene.tell("deadlock", "owner-exited", [one])
