#!/usr/bin/python3
"""Finds every CPython from 3.6 on that this machine can run: interpreters.py prints them as a JSON list.

Each entry: name, version, debug, free_threaded, how, command, executable, root.
debug       Py_DEBUG, by sys.abiflags: what Py_TRACE_REFS brings by itself is no sign of it
how         plain (started directly), container or loader (see run.py)
command     the words to put before the interpreter's own arguments; what they start becomes the interpreter
executable  the interpreter's path inside root
root        the folder that is the interpreter's /
small       only where it is true: modules are left out (build.py)
trace_refs  only where it is true: Py_TRACE_REFS, which to 3.7 every debug build has

Looked for: the system's own python3, pyenv's builds, the suites' trees and the
builds made by fetch.py, and what
PYTHREADS_EXTRA_PYTHONS names (paths of executables, separated by colons: builds of one's own).
"""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run  # noqa: E402
import suites  # noqa: E402

OLDEST = (3, 6)
SYSTEM_PYTHON = "/usr/bin/python3"
ASK = (
    "import sys, sysconfig; level = {'alpha': 'a', 'beta': 'b', 'candidate': 'rc'}.get(sys.version_info.releaselevel);"
    "print('.'.join(map(str, sys.version_info[:3])) + (level + str(sys.version_info.serial) if level else ''),"
    " int('d' in sys.abiflags), int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))),"
    " int(hasattr(sys, 'getobjects')))"
)


def ask(command):
    """(version, debug, free_threaded, trace_refs) as the interpreter itself tells them; None if it does not run."""
    try:
        done = subprocess.run([*command, "-ISc", ASK], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode != 0 or len(words) != 4:
        return None
    return words[0], words[1] == "1", words[2] == "1", words[3] == "1"


def minor_of(version):
    return tuple(int(part) for part in version.split(".")[:2])


def plain(name, path, version, debug, free_threaded, trace_refs=False):
    return {
        **({"trace_refs": True} if trace_refs else {}),
        "name": name,
        "version": version,
        "debug": debug,
        "free_threaded": free_threaded,
        "how": "plain",
        "command": [path],
        "executable": os.path.realpath(path),
        "root": "/",
    }


def suffix(debug, free_threaded, trace_refs):
    return ("t" if free_threaded else "") + ("d" if debug else "") + ("r" if trace_refs else "")


def system_interpreter():
    told = ask([SYSTEM_PYTHON])
    if told is None or minor_of(told[0]) < OLDEST:
        return []
    minor = ".".join(told[0].split(".")[:2])
    return [plain(f"system-{minor}{suffix(*told[1:])}", SYSTEM_PYTHON, *told)]


def pyenv_interpreters():
    """pyenv names a build's folder for what it is: 3.12.1, 3.13.0t, 3.12.1-debug."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = []
    for folder in sorted((root / "versions").glob("3.*")):
        match = re.fullmatch(r"(3\.\d+\.\d+)(t?)((?:-debug)?)", folder.name)
        if not match or minor_of(match[1]) < OLDEST:
            continue
        minor = ".".join(match[1].split(".")[:2])
        path = folder / "bin" / f"python{minor}{match[2]}"
        if os.access(path, os.X_OK):
            found.append(plain(f"pyenv-{folder.name}", str(path), match[1], bool(match[3]), bool(match[2])))
    return sorted(found, key=lambda each: [int(part) for part in each["version"].split(".")])


def extra_interpreters():
    found = []
    for path in filter(None, os.environ.get("PYTHREADS_EXTRA_PYTHONS", "").split(":")):
        told = ask([path])
        if told is None:
            print(f"interpreters.py: {path} does not run", file=sys.stderr)
        elif minor_of(told[0]) >= OLDEST:
            name = f"extra-{told[0]}{suffix(*told[1:])}"
            alike = sum(re.fullmatch(re.escape(name) + r"(-\d+)?", each["name"]) is not None for each in found)
            found.append(plain(f"{name}-{alike + 1}" if alike else name, path, *told))
    return found


def can_make_containers():
    """Whether a mount namespace can be had here, tried in a child."""
    child = os.fork()
    if child == 0:
        try:
            run.enter_mount_namespace()
            run.mount("pythreads", "/tmp", "tmpfs")
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def suite_interpreters():
    how = "container" if can_make_containers() else "loader"
    runner = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
    found = []
    for suite in suites.SUITES:
        for each in suites.interpreters_in(suite):
            command = [SYSTEM_PYTHON, "-ESB", runner, each["name"], "--how", how, "--"]
            found.append({**each, "free_threaded": False, "how": how, "command": command})
    return found


def built_interpreters():
    found = []
    for row in suites.BUILT:
        version = suites.built_version(row)
        for name, executable in row["names"].items() if version else ():
            path = os.path.join(suites.built_dir(row), "bin", executable)
            if os.access(path, os.X_OK):
                found.append({**plain(name, path, version, False, row["free_threaded"]), "small": row["musl"]})
    return found


def asked_for(found):
    """Those that PYTHREADS_TEST_INTERPRETERS names; all without it."""
    wanted = os.environ.get("PYTHREADS_TEST_INTERPRETERS")
    return [each for each in found if not wanted or each["name"] in wanted.split(",")]


def for_scenarios(found):
    """Without those whose builds have not all modules that scenarios import: ctypes, expat. Says so."""
    small = [each["name"] for each in found if each.get("small")]
    if small:
        print(f"no scenarios on {', '.join(small)}: built without ctypes; docs/interpreters.md has what is read there")
    return [each for each in found if not each.get("small")]


def jit_interpreters(found):
    """Those of `found` that have the JIT built in and off, once more with it on (3.14 on; PYTHON_JIT in the manual)."""
    with_jit = []
    for each in found:
        if minor_of(each["version"]) < (3, 14):
            continue
        asked = [*each["command"], "-ISc", "import sys; raise SystemExit(not sys._jit.is_available())"]
        if subprocess.run(asked, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode != 0:
            continue
        # From 3.15 on it can be made to compile what has run a few times only.
        command = ["/usr/bin/env", "PYTHON_JIT=1", "PYTHON_JIT_STRESS=1", *each["command"]]
        with_jit.append({**each, "name": each["name"] + "-jit", "command": command})
    return with_jit


def find_interpreters():
    return system_interpreter() + suite_interpreters() + built_interpreters() + pyenv_interpreters() + extra_interpreters()


if __name__ == "__main__":
    json.dump(find_interpreters(), sys.stdout, indent=1)
    print()
