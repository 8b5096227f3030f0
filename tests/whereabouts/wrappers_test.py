#!/usr/bin/python3
"""The pid is not the one that is meant: that of a wrapper with a Python below it, or one of another pid namespace."""

import json
import os
import shlex
import shutil
import subprocess
import time
import unittest

import place
from place import PARKED, SYSTEM_PYTHON, Place, dump

PYTHON = shlex.join([SYSTEM_PYTHON, PARKED])


def can_unshare(*options):
    command = ["unshare", *options, "true"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


class Wrappers(unittest.TestCase):
    def failed(self, pid, by=None):
        """(message, hint) of what is no Python; the text says both, and nothing was printed as a dump."""
        done = place.program.dump("--json", pid, by=by)
        self.assertEqual(done.returncode, 65, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(place.schema_check.problems(document), [])
        error = document["errors"][0]
        self.assertEqual((error["pid"], error["code"], error["exit"]), (pid, "not_python", 65))
        text = done.stderr.decode()
        self.assertIn(error["message"], text)
        if error["hint"]:
            self.assertIn(error["hint"], text)
        return error["message"], error["hint"]

    def test_one_python_below(self):
        for command in (
            ["sh", "-c", f"{PYTHON}; true"],
            ["sh", "-c", f"sh -c {shlex.quote(f'{PYTHON}; true')}; true"],
            ["timeout", "1000", *shlex.split(PYTHON)],
            ["sh", "-c", f"sleep 1000 & {PYTHON}; true"],
        ):
            with self.subTest(command), Place(command) as here:
                python = here.truth["pid"]
                self.assertNotEqual(python, here.pid)
                message, hint = self.failed(here.pid)
                self.assertRegex(message, rf"^process {here.pid} \(/\S+\): no CPython was found in the process$")
                self.assertEqual(
                    hint, f"the only Python below it is process {python} ({PYTHON}): pythreads dump {python}"
                )
                here.check(self, pid=python)
                done = place.program.run("check", here.pid)
                self.assertEqual(done.returncode, 3)
                self.assertIn(hint.encode(), done.stdout)
                # Nothing was held for it.
                self.assertEqual({place.scoped_target.thread_look(python, each)[0] for each in os.listdir(f"/proc/{python}/task")}, {"S"})

    def test_what_a_python_started_is_its_own(self):
        code = f"import subprocess, sys; subprocess.run({shlex.split(PYTHON)!r}, check=False)"
        with Place(["sh", "-c", f"{shlex.join([SYSTEM_PYTHON, '-c', code])}; true"]) as here:
            _, hint = self.failed(here.pid)
            master = place.children_of(here.pid)[0]
            self.assertNotEqual(master, here.truth["pid"])
            self.assertTrue(hint.startswith(f"the only Python below it is process {master} ("), hint)
            self.assertTrue(hint.endswith(f"…): pythreads dump {master}"), hint)

    def test_several(self):
        sleeping = shlex.join([SYSTEM_PYTHON, "-c", "import time; time.sleep(1000)"])
        with Place(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do {sleeping} & done; {PYTHON}; true"]) as here:
            place.wait_for(lambda: all(dump(each)[0] == 0 for each in place.children_of(here.pid)))
            pids = place.children_of(here.pid)
            self.assertEqual(len(pids), 10)
            _, hint = self.failed(here.pid)
            self.assertTrue(hint.startswith("below it are the Pythons "), hint)
            for pid in pids[:8]:
                self.assertIn(f"{pid} (", hint)
            self.assertTrue(hint.endswith(" and 2 more"), hint)

    def test_none(self):
        with Place(["sh", "-c", "echo ready; sleep 1000; true"]) as here:
            place.wait_for(lambda: place.children_of(here.pid))
            message, hint = self.failed(here.pid)
            self.assertRegex(message, "no CPython was found in the process, nor in the process below it$")
            self.assertIsNone(hint)
            sleep = place.children_of(here.pid)[0]
            place.wait_for(lambda: os.readlink(f"/proc/{sleep}/exe").endswith("sleep"))
            message, hint = self.failed(sleep)
            self.assertRegex(message, "no CPython was found in the process$")
            self.assertIsNone(hint)

    def test_secrets_of_the_command_are_hidden(self):
        with Place(["sh", "-c", f"{PYTHON} --password=hunter2; true"]) as here:
            _, hint = self.failed(here.pid)
            self.assertNotIn("hunter2", hint)
            self.assertIn("--password=", hint)

    def test_uv(self):
        uv = shutil.which("uv")
        if not uv:
            self.skipTest("no uv here")
        with Place([uv, "run", "--no-project", "--python", SYSTEM_PYTHON, PARKED]) as here:
            _, hint = self.failed(here.pid)
            self.assertIn(f"pythreads dump {here.truth['pid']}", hint)

    def test_many_processes_take_no_long_time(self):
        with Place(["sh", "-c", "for i in $(seq 300); do sleep 1000 & done; echo ready; wait"]) as here:
            place.wait_for(lambda: len(place.children_of(here.pid)) == 300)
            # One that is only just executing its program can't be looked into.
            for each in place.children_of(here.pid):
                place.wait_for(lambda each=each: os.readlink(f"/proc/{each}/exe").endswith("sleep"))
            began = time.monotonic()
            # With sanitizers a search takes three times as long, and may end by its time before its number.
            message, hint = self.failed(here.pid, by=place.program.released())
            self.assertLess(time.monotonic() - began, 10)
            self.assertRegex(message, r"nor in the 256 processes below it, of those that could be looked into$")
            self.assertIsNone(hint)


class Namespaces(unittest.TestCase):
    """The first process of a container is a wrapper, and the pids inside are others."""

    def setUp(self):
        if not can_unshare("--pid", "--fork"):
            self.skipTest("no pid namespace can be made here")

    def test_a_wrapper_outside_and_one_inside(self):
        inside = f"{PYTHON}; true"
        with Place(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", inside]) as here:
            shell = place.children_of(here.pid)[0]
            python = place.children_of(shell)[0]
            for wrapper in (here.pid, shell):
                done = place.program.dump("--json", wrapper)
                hint = json.loads(done.stdout)["errors"][0]["hint"]
                self.assertEqual(
                    hint, f"the only Python below it is process {python} ({PYTHON}): pythreads dump {python}"
                )
            here.check(self, pid=python)

    def test_the_inner_pid_given_outside(self):
        # A pid that is high inside, for the low ones are processes here too.
        inside = f"echo 3999990 > /proc/sys/kernel/ns_last_pid 2>/dev/null; {PYTHON}; true"
        with Place(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside]) as here:
            inner, outer = here.truth["pid"], here.host_pid()
            if os.path.exists(f"/proc/{inner}"):
                self.skipTest("the inner pid is one of ours, and ns_last_pid can't be set")
            code, document, said = dump(inner)
            self.assertEqual((code, document["errors"][0]["code"]), (66, "no_such_process"))
            hint = document["errors"][0]["hint"]
            self.assertEqual(
                hint, f"inside of a pid namespace {inner} is the pid of process {outer}: pythreads dump {outer}"
            )
            self.assertIn(hint, said)
            here.check(self, pid=outer)


if __name__ == "__main__":
    place.program.executable()
    unittest.main(verbosity=2)
