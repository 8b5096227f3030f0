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
# Its ident must not be given to a new thread, which would then be taken for the owner.
keeper = [scene.thread(scene.rest, name="keeper")]
one = scene.thread(wait)
scene.waits(one, "rlock", lock, None if one.ident != gone.ident and keeper[0].ident != gone.ident else keeper[0], least="recorded")
scene.tell(["deadlock", "possible-deadlock"], absent=[])
