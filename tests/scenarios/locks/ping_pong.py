"""Two threads that wake each other through one Condition."""

import threading

import lock_scene as scene

condition = threading.Condition()
turn = [0]


def play(me):
    while True:
        with condition:
            while turn[0] != me:
                condition.wait()
            turn[0] = 1 - me
            condition.notify_all()


threads = [scene.scene.thread(play, i, name="play-%d" % i) for i in range(2)]
scene.tell(
    ["running", "waiting", "unknown", "stalled"], absent=["deadlock", "possible-deadlock"], looks=40, settled=False
)
