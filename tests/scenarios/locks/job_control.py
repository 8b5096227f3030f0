"""A process that was stopped by a signal in the middle of its work."""

import os
import signal
import time

import lock_scene as scene


def spin():
    while True:
        pass


one = scene.scene.thread(spin, name="spin")
time.sleep(0.1)
scene.waits(one, "signal", None, None, timeout=None)
scene.tell_stopped(["waiting", "running", "stalled", "unknown"])
