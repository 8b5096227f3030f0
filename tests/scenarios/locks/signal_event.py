"""A main thread that waits for a signal to end: healthy."""

import signal
import threading

import lock_scene as scene

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
scene.waits(scene.main(), "event", stop, None)
scene.tell_from_thread("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
stop.wait()
