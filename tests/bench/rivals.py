"""Other programs that show a Python process's stacks, where they are installed: py-spy, pystack, austin, gdb.

They are looked for in the folders of PYTHREADS_RIVALS (paths, separated by colons), then in PATH.
"""

import dataclasses
import os
import re
import shutil
import subprocess

HOW_TO_INSTALL = (
    "python3 -m venv build/rivals && build/rivals/bin/pip install py-spy pystack austin-dist, then"
    " PYTHREADS_RIVALS=$PWD/build/rivals/bin make bench (gdb: the distribution's package)"
)


@dataclasses.dataclass(frozen=True)
class Rival:
    name: str
    native: bool
    path: str
    version: str
    arguments: tuple  # the pid comes after them

    @property
    def title(self):
        return self.name + (" native" if self.native else "")

    def command(self, pid):
        return [self.path, *self.arguments, str(pid)]


# gdb shows native stacks alone.
KNOWN = (
    ("py-spy", False, ("dump", "--pid")),
    ("py-spy", True, ("dump", "--native", "--pid")),
    ("pystack", False, ("remote",)),
    ("pystack", True, ("remote", "--native-all")),
    ("austin", False, ("-w",)),
    ("gdb", True, ("-batch", "-nx", "-ex", "set pagination off", "-ex", "thread apply all bt", "-p")),
)
NAMES = tuple(dict.fromkeys(name for name, _, _ in KNOWN))


def version_of(path):
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    number = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return number[0] if number else "?"


def find(only=None):
    folders = os.pathsep.join(filter(None, (os.environ.get("PYTHREADS_RIVALS"), os.environ.get("PATH"))))
    found, missing = [], []
    for name, native, arguments in KNOWN:
        if only is not None and name not in only:
            continue
        path = shutil.which(name, path=folders)
        if path is None:
            missing.append(name)
        else:
            found.append(Rival(name, native, path, version_of(path), arguments))
    return found, sorted(set(missing))
