"""A signal handler that takes its arguments as one tuple takes the Lock that the interrupted code holds."""

import os
import signal
import threading

import lock_scene as scene

lock = threading.Lock()


def handler(*arguments):
    with lock:
        pass


signal.signal(signal.SIGUSR1, handler)
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
