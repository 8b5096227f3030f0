"""A process that was stopped by a signal in the middle of its work, which is in C and without the GIL."""

import hashlib
import time

import lock_scene as scene


def spin():
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 1 << 30)


one = scene.scene.thread(spin, name="spin")
time.sleep(0.1)
scene.waits(one, "signal", None, None, timeout=None)
scene.tell_stopped(["waiting", "running", "stalled", "unknown"])
