"""Two threads that take two locks in opposite order, and back off when it takes too long."""

import random
import threading

import lock_scene as scene

locks = [threading.Lock(), threading.Lock()]


def work(first, second):
    while True:
        with first:
            if second.acquire(timeout=random.random() / 100):
                second.release()


threads = [scene.scene.thread(work, locks[i], locks[1 - i], name="work-%d" % i) for i in range(2)]
scene.tell(["running", "waiting", "unknown", "stalled", "possible-deadlock"], absent=["deadlock"], looks=40, settled=False)
