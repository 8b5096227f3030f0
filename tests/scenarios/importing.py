"""A module whose import does not come to an end, and a thread that waits for the same module."""

import os
import sys
import tempfile

import scene

folder = tempfile.mkdtemp(prefix="pythreads-")
with open(os.path.join(folder, "never_imported.py"), "w", encoding="utf-8") as file:
    file.write("import os\nimport scene\n\nos.read(scene.NEVER, 1)\n")
sys.path.insert(0, folder)


def imports():
    import never_imported  # noqa: F401


def imports_late():
    __import__("never_imported")


scene.thread(imports, name="imports")
scene.wait_until_settled()
os.remove(os.path.join(folder, "never_imported.py"))
os.rmdir(folder)
scene.thread(imports_late, name="imports_late")
scene.ready()
