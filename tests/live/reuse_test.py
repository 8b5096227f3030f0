#!/usr/bin/python3
"""A process ends between two looks and another gets its number: nothing is said of that one.

In a pid namespace of its own, where the next number can be chosen (proc_sys_kernel(5), ns_last_pid).
"""

import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
import program  # noqa: E402

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
PROGRAM = "import sys\ndef {name}():\n    print('READY', flush=True)\n    sys.stdin.read()\n{name}()\n"


def start(name):
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", PROGRAM.format(name=name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    return process


def start_as(pid, name):
    """A process with this number, which nobody has."""
    for _ in range(50):
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = start(name)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise RuntimeError(f"nobody gets the number {pid}")


def inside():
    first = start("first_program")
    looks = subprocess.Popen(
        [program.executable(), "dump", str(first.pid), *program.PATIENCE, "--samples", "3", "--interval", "3s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    told = looks.stdout.readline()  # of the first look, which is printed when it is made
    first.kill()
    first.wait()
    second = start_as(first.pid, "second_program")
    text = (told + looks.stdout.read()).decode()
    errors = looks.stderr.read().decode()
    looks.wait()
    print(text, errors, looks.returncode)
    if "first_program" not in text:
        sys.exit("the first look did not see the first program")
    if "second_program" in text:
        sys.exit("another process was taken for the one that was asked for")
    if looks.returncode != 66 or "ended" not in errors:
        sys.exit("it was not said that the process has ended")
    second.kill()
    second.wait()


class Reuse(unittest.TestCase):
    def test_another_process_gets_the_number(self):
        if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no pid namespace can be made here")
        began = time.monotonic()
        done = subprocess.run(
            [*NAMESPACE, sys.executable, "-B", __file__, "inside"], capture_output=True, text=True, timeout=200, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(time.monotonic() - began, 2, "the second look came before the second process")


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        program.executable()
        unittest.main(verbosity=2)
