"""Two modules that import each other in two threads."""

import os
import sys
import tempfile
import threading

import lock_scene as scene

folder = tempfile.mkdtemp()
for own, other in (("left_side", "right_side"), ("right_side", "left_side")):
    with open(os.path.join(folder, own + ".py"), "w") as file:
        file.write("import __main__\n__main__.meet.wait()\n__main__.enter()\n")
sys.path.insert(0, folder)
lock = threading.RLock()
meet = threading.Barrier(2)
turn = threading.Barrier(2)


def enter():
    pass


def import_left():
    import left_side  # noqa: F401


def import_right():
    import right_side  # noqa: F401


def blocked_module():
    scene.rest()


# CPython finds out a cycle of two imports and lets one go on, so the cycle here leads through a lock.
with open(os.path.join(folder, "left_side.py"), "w") as file:
    file.write("import __main__\n__main__.meet.wait()\n__main__.lock.acquire()\n")


def holder():
    with lock:
        meet.wait()
        import left_side  # noqa: F401


one = scene.scene.thread(import_left, name="importer")
two = scene.thread(holder)
scene.waits(one, "rlock", lock, two)
scene.waits(two, "import", None, one)
scene.holds(two, lock)
scene.tell("deadlock", "import-cycle", [one, two])
