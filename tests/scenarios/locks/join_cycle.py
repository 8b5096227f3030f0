"""Two threads wait for each other's end."""

import threading

import lock_scene as scene

others = {}
ready = threading.Event()


def wait_for(name):
    ready.wait()
    others[name].join()


others["one"] = scene.scene.thread(wait_for, "two", name="one")
others["two"] = scene.scene.thread(wait_for, "one", name="two")
ready.set()
scene.scene.wait_until_settled()
scene.waits(others["one"], "join", None, others["two"])
scene.waits(others["two"], "join", None, others["one"])
scene.tell("deadlock", "join-cycle", others.values())
