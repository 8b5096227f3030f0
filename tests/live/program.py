"""The program under test, run as a user runs it."""

import os
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
# For a test that is about what is read: on a machine with a hundred other processes a thread may get no processor for
# longer than any pause that a user would allow.
PATIENCE = ["--pause-budget", "60s", "--deadline", "100s"]


def executable():
    path = os.environ.get("PYTHREADS_EXECUTABLE")
    if not path or not os.access(path, os.X_OK):
        sys.exit("PYTHREADS_EXECUTABLE has to name the built pythreads")
    return path


def released():
    """The release build of the same tree where there is one (PYTHREADS_RELEASE), else the one under test."""
    return os.environ.get("PYTHREADS_RELEASE") or executable()


def run(*arguments, seconds=120, stdin=None, by=None, before=(), **more):
    """A finished run: returncode, stdout and stderr as bytes.

    `by` is the program, the one under test without it; `before` the words of a command that runs it.
    """
    environment = {**os.environ, "NO_COLOR": "1"}
    # Who is traced or killed in a test can't look for leaks.
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    return subprocess.run(
        [*before, by or executable(), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env=environment,
        check=False,
        **more,
    )


def dump(*arguments, **more):
    return run("dump", *PATIENCE, *arguments, **more)
