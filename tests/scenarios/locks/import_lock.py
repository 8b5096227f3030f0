"""A module whose body blocks is imported by a second thread."""

import os
import sys
import tempfile
import threading

import lock_scene as scene

folder = tempfile.mkdtemp()
with open(os.path.join(folder, "slow_module.py"), "w") as file:
    file.write("import lock_scene\nlock_scene.rest()\n")
sys.path.insert(0, folder)


def importing():
    import slow_module  # noqa: F401


one = scene.thread(importing, name="one")
two = scene.thread(importing, name="two")
scene.waits(two, "import", None, one)
scene.tell(["waiting", "stalled"], absent=["deadlock", "possible-deadlock"])
