"""with inside loops, comprehensions, try, except and finally, several deep."""

import threading

import lock_scene as scene

locks = [threading.Lock() for _ in range(6)]


def hold():
    for _ in range(1):
        with locks[0]:
            try:
                with locks[1]:
                    raise ValueError
            except ValueError:
                with locks[2]:
                    while True:
                        try:
                            with locks[3] as _:
                                if locks:
                                    with locks[4], locks[5]:
                                        return [scene.rest() for _ in range(1)]
                        finally:
                            scene.rest()


def wait(lock):
    with lock:
        pass


holder = scene.thread(hold)
for i in (0, 2, 3, 4, 5):
    scene.waits(scene.thread(wait, locks[i], name="wait"), "lock", locks[i], holder)
    scene.holds(holder, locks[i])
scene.known(locks[1])
scene.tell(["waiting", "stalled"])
