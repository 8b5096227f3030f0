"""A signal handler that is a partial calls what takes the Lock that the interrupted code holds."""

import functools
import os
import signal
import threading

import lock_scene as scene

lock = threading.Lock()


def handler(word, *arguments):
    take()


def take():
    lock.acquire()


signal.signal(signal.SIGUSR1, functools.partial(handler, "word"))
me = scene.main()
scene.waits(me, "lock", lock, me)
scene.holds(me, lock)


def teller():
    scene.scene.wait_until_settled()
    os.kill(os.getpid(), signal.SIGUSR1)
    scene.tell("deadlock", "signal-reentry", [me])


threading.Thread(target=teller, name="teller", daemon=True).start()
with lock:
    scene.rest()
