"""An RLock whose thread ended without releasing it."""

import threading

import lock_scene as scene

lock = threading.RLock()


def leave():
    lock.acquire()


def wait():
    lock.acquire()


gone = scene.scene.thread(leave, name="leave")
gone.join()
# Its ident is given to a new thread, which must not be taken for the owner: the field alone is not enough.
keepers = [scene.scene.thread(scene.rest, name="keeper-%d" % i) for i in range(8)]
heir = [each for each in keepers if each.ident == gone.ident]
one = scene.thread(wait)
scene.waits(one, "rlock", lock, heir[0] if heir else None, least="recorded")
scene.tell(["deadlock", "possible-deadlock", "waiting", "unknown"], absent=["stalled"])
