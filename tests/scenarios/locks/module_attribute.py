"""Locks that another module has, of which no frame stands on a stack: its variable, and its class's."""

import os
import sys
import tempfile

import lock_scene as scene

folder = tempfile.mkdtemp()
with open(os.path.join(folder, "shop_settings.py"), "w") as file:
    file.write("import threading\nlock = threading.Lock()\n\n\nclass Pool:\n    lock = threading.Lock()\n")
sys.path.insert(0, folder)
import shop_settings  # noqa: E402


def hold():
    with shop_settings.lock, shop_settings.Pool.lock:
        scene.rest()


def wait():
    with shop_settings.lock:
        pass


def wait_for_class():
    with shop_settings.Pool.lock:
        pass


holder = scene.thread(hold)
for function, lock, name in (
    (wait, shop_settings.lock, "shop_settings.lock"),
    (wait_for_class, shop_settings.Pool.lock, "shop_settings.Pool.lock"),
):
    scene.holds(holder, lock)
    scene.waits(scene.thread(function), "lock", lock, holder, name=name)
del lock, function
scene.tell(["waiting", "stalled"])
