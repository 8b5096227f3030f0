#!/usr/bin/python3
"""Free-threaded builds whose GIL is switched on in the middle, by the import of an extension module that needs it; and
PYTHON_GIL=0 and 1. The module is compiled here, with the interpreter's own headers."""

import atexit
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / each) for each in ("live", "support", "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

BUILT = pathlib.Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, BUILT, ignore_errors=True)
# Who waits for the GIL wakes each 5 ms for some microseconds, and may be met then.
TRIES = 20


def free_threaded():
    return interpreters.asked_for([each for each in interpreters.find_interpreters() if each["free_threaded"]])


def headers_of(interpreter):
    """The folder of its Python.h; None where it came without."""
    asked = [*interpreter["command"], "-ISc", "import sysconfig; print(sysconfig.get_path('include'))"]
    folder = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return folder if os.path.exists(os.path.join(folder, "Python.h")) else None


def module_folder(interpreter):
    """Where the compiled module lies; None, said aloud, where it can't be compiled."""
    folder = BUILT / interpreter["name"]
    if not folder.exists():
        headers = headers_of(interpreter)
        if headers is None:
            print(f"skipped: {interpreter['name']}: no Python.h beside it to compile an extension module with")
            return None
        folder.mkdir()
        source, module = str(HERE / "gil_needed.c"), str(folder / "gil_needed.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-I", headers, source, "-o", module], check=True)
    return str(folder)


class Target:
    """gil_switched.py, which tells a line, and another after `go_on`."""

    def __init__(self, interpreter, folder, what, gil=None):
        setting = [] if gil is None else ["/usr/bin/env", f"PYTHON_GIL={gil}"]
        self.command = [*setting, *interpreter["command"], str(HERE / "gil_switched.py"), folder, what]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd="/", env=scoped_target.environment(),
        )
        self.truth = None
        try:
            self.read_truth()
        except BaseException:
            self.__exit__()
            raise
        return self

    def read_truth(self):
        if not select.select([self.process.stdout], [], [], 90)[0]:
            raise TimeoutError("it said nothing")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().decode(errors="replace")[-1500:])
        self.truth = json.loads(line)

    def go_on(self):
        self.process.stdin.write(b"x")
        self.process.stdin.flush()
        self.read_truth()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


class Gil(unittest.TestCase):
    def dump(self, target):
        done = program.dump("--json", target.truth["pid"])
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        document = json.loads(done.stdout)
        self.assertEqual(schema_check.problems(document), [])
        return document["processes"][0]

    def check_locks(self, process, truth):
        """Who waited when the GIL was off waits on, and for the same."""
        resources = {each["id"]: each for each in process["resources"]}
        threads = {each["tid"]: each for each in process["threads"]}
        for name, lock in (("wants_lock", "lock"), ("wants_reentrant", "reentrant")):
            wait = threads[truth["tids"][name]]["wait"]
            resource = resources[wait["resource"]]
            self.assertEqual(int(resource["address"], 16), truth[lock])
            self.assertEqual(resource["owner"]["tid"], truth["tids"]["owner"])

    def check(self, target, on, holder=None, waiters=()):
        truth = target.truth
        self.assertEqual(truth["gil"], on, "the interpreter itself")
        for tries_left in reversed(range(TRIES)):
            process = self.dump(target)
            (interpreter,) = process["interpreters"]
            self.assertTrue(process["python"]["free_threaded"])
            self.assertNotIn("gil", interpreter.get("unread", []))
            gil = interpreter["gil"]
            wanted = sorted(truth["tids"][each] for each in waiters)
            if not waiters or sorted(gil["waiters"]) == wanted or not tries_left:
                break
        self.check_locks(process, truth)
        self.assertNotIn(process["verdict"], ("deadlock", "possible-deadlock"), process["summary"])
        words = {each["tid"]: each["gil"] for each in process["threads"]}
        if not on:
            self.assertIsNone(gil)
            self.assertEqual(set(words.values()), {None})
            return process
        self.assertEqual((gil["locked"], gil["holder"]), (holder is not None, truth["tids"].get(holder)))
        self.assertEqual(sorted(gil["waiters"]), wanted)
        for name, tid in truth["tids"].items():
            self.assertEqual(words[tid], "holds" if name == holder else "waits" if name in waiters else "none", name)
        return process

    def on_each(self, what, look, gil=None):
        """Calls `look` with each interpreter's target, which rests for the first time."""
        found = free_threaded()
        if not found:
            self.skipTest("no free-threaded interpreter here; tests/interpreters/fetch.py builds one")
        tried = 0
        for interpreter in found:
            folder = module_folder(interpreter)
            if folder is None:
                continue
            tried += 1
            with self.subTest(interpreter["name"]), Target(interpreter, folder, what, gil) as target:
                look(target)
        if not tried:
            self.skipTest("none of the free-threaded interpreters here came with headers")

    def check_held(self, target):
        process = self.check(target, on=True, holder="main", waiters=("spin", "spins_too"))
        self.assertEqual(process["verdict"], "stalled", process["summary"])

    def test_switched_on_in_the_middle(self):
        def look(target):
            self.check(target, on=False)
            target.go_on()
            self.check(target, on=True)

        self.on_each("rest", look)

    def test_switched_on_and_held_in_native(self):
        def look(target):
            self.check(target, on=False)
            target.go_on()
            self.check_held(target)

        self.on_each("hold", look)

    def test_off_for_good(self):
        """PYTHON_GIL=0: the import changes nothing, and nobody waits for who rests in native code."""

        def look(target):
            self.check(target, on=False)
            target.go_on()
            self.check(target, on=False)

        self.on_each("hold", look, gil=0)

    def test_on_from_the_start(self):
        def look(target):
            self.check(target, on=True)
            target.go_on()
            self.check_held(target)

        self.on_each("hold", look, gil=1)


if __name__ == "__main__":
    program.executable()
    unittest.main()
