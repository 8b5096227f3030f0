"""The ways to run an interpreter that `reach_test.py` tries: which apply to which, and the command of each."""

import os
import pathlib
import shutil
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "interpreters"))
import executables  # noqa: E402
import interpreters  # noqa: E402

RUNNER = str(TESTS / "interpreters" / "run.py")
ROOTS = ("container", "chroot", "loader", "pidns", "userns")
# In every run each interpreter is tried in its own way; these in every way.
IN_EVERY_WAY = ("trixie-3.13", "trixie-3.13t", "static-3.13")


def has_symbols(path):
    told = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=False).stdout
    return ".symtab" in told


def has_jit(interpreter):
    """Debian's builds have it from 3.14 on, and off."""
    return interpreter["name"] in ("sid-3.14", "sid-3.15")


def default_way(interpreter):
    return interpreter["how"]


def ways_of(interpreter, containers):
    """The names of all ways that there are for it here. `containers`: whether namespaces can be had."""
    root, path = interpreter["root"], interpreter["root"].rstrip("/") + interpreter["executable"]
    library = executables.libpython_of(path, root)
    if root == "/":
        ways = ["plain"]
    elif containers:
        ways = [each for each in ROOTS if os.geteuid() == 0 or each not in ("pidns", "userns")]
    else:
        return ["loader"]
    ways += ["deleted", "replaced", "memfd", "renamed"]
    if has_symbols(library or path):
        ways.append("stripped")
    # A program linked here starts by what libc has had since 2.34; bullseye's is older.
    if shutil.which("cc") and executables.shared_library(path, root) and not interpreter["name"].startswith("bullseye-"):
        ways.append("embedded")
    if has_jit(interpreter):
        ways.append("jit")
    if interpreter["free_threaded"]:
        ways.append("gil")
    return ways


def chosen_ways(interpreter, containers, everything):
    every = ways_of(interpreter, containers)
    if everything or interpreter["name"] in IN_EVERY_WAY:
        return every
    return [each for each in every if each in (default_way(interpreter), "jit")]


def command(interpreter, way, scratch):
    """The words before the interpreter's own arguments."""
    name = interpreter["executable"] if interpreter["root"] == "/" else interpreter["name"]
    how = "plain" if interpreter["root"] == "/" else "container"
    runner = [interpreters.SYSTEM_PYTHON, "-ESB", RUNNER, name, "--how"]
    if way == "jit":
        return ["/usr/bin/env", "PYTHON_JIT=1", *interpreter["command"]]
    if way == "gil":
        return ["/usr/bin/env", "PYTHON_GIL=1", *interpreter["command"]]
    if way in executables.KINDS:
        return [*runner, how, "--as", way, "--scratch", scratch, "--"]
    if way == "plain":
        return interpreter["command"]
    return [*runner, way, "--"]
