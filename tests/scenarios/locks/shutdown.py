"""The main thread has ended and waits for a thread that gets from an empty queue."""

import queue
import threading

import lock_scene as scene

work = queue.Queue()


def worker():
    work.get()


one = scene.thread(worker, daemon=False)
me = scene.main()
scene.waits(one, "queue-get", work, None)
scene.waits(me, "shutdown", None, one)
scene.tell_from_thread("stalled", "shutdown-blocked", [me, one])
