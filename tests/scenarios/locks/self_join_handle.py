"""A thread waits for another's end below a library's frame."""

import threading

import lock_scene as scene

class Patient(threading.Thread):
    def join(self, timeout=None):
        super().join(timeout)


sleeper = Patient(target=scene.rest, name="sleeper", daemon=True)
sleeper.start()
scene.scene._native_ids[sleeper.ident] = sleeper.native_id


def join():
    sleeper.join()


scene.waits(scene.thread(join), "join", None, sleeper)
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
