"""An RLock whose thread ended without releasing it, and whose ident a new thread has got: the field alone says little."""

import threading

import lock_scene as scene

lock = threading.RLock()


def leave():
    lock.acquire()


def wait():
    lock.acquire()


gone = scene.scene.thread(leave, name="leave")
gone.join()
keepers = [scene.scene.thread(scene.rest, name="keeper-%d" % i) for i in range(8)]
heir = [each for each in keepers if each.ident == gone.ident]
one = scene.thread(wait)
scene.waits(one, "rlock", lock, heir[0] if heir else None, least="recorded")
scene.tell(["deadlock", "possible-deadlock", "waiting", "unknown"], absent=["deadlock"] if heir else [])
