#!/usr/bin/python3
"""Which OS thread runs a thread state, on every interpreter; and processes whose Python begins or ends.

A state's ident is its maker's: subinterpreters that other threads run, states moved to another thread, several
states of one thread, one left behind by its thread. C code is compiled here and loaded by ctypes, or opens libpython.
"""

import atexit
import json
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
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


def chosen():
    # _xxsubinterpreters came with 3.8.
    found = interpreters.for_scenarios(interpreters.find_interpreters())
    print("not on 3.6 and 3.7, which have no _xxsubinterpreters")
    return interpreters.asked_for([each for each in found if interpreters.minor_of(each["version"]) >= (3, 8)])


def compiled(name, *options):
    path = BUILT / name
    if not path.exists():
        source = HERE / (path.stem + ".c")
        subprocess.run(["cc", "-O1", *options, source, "-o", path, "-ldl", "-lpthread"], check=True)
    return str(path)


def libpython(interpreter):
    minor = ".".join(interpreter["version"].split(".")[:2])
    found = pathlib.Path(interpreter["executable"]).parent.parent / "lib" / f"libpython{minor}.so.1.0"
    return str(found) if found.exists() and interpreter["how"] == "plain" else None


class Target:
    """A command that has said its line of JSON and then rests; `truth` is that line."""

    def __init__(self, command, **more):
        self.command, self.more = command, more

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd="/", env={**scoped_target.environment(), **self.more.get("env", {})},
        )
        self.pid = self.process.pid
        try:
            if not select.select([self.process.stdout], [], [], 90)[0]:
                raise TimeoutError("it said nothing")
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(self.process.stderr.read().decode(errors="replace")[-1500:])
            self.truth = json.loads(line)
            self.settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def settle(self):
        """The threads sleep, and did not run between two looks (a daemon that sleeps in turns may)."""
        before = None
        for _ in range(200):
            looks = [scoped_target.thread_look(self.pid, tid) for tid in scoped_target.tids_of(self.pid)]
            if looks == before and all(look and look[0] == "S" for look in looks):
                return
            before = looks
            time.sleep(0.02)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def dump(self, test, *options):
        done = program.dump("--json", *options, self.pid)
        test.assertEqual((done.returncode, done.stderr), (0, b""))
        document = json.loads(done.stdout)
        test.assertEqual(schema_check.problems(document), [])
        return document["processes"][0]


def python_frames(thread):
    return [each["function"] for each in thread["frames"] if each["kind"] == "python"]


class Moved(unittest.TestCase):
    def states_of(self, process, tid):
        return [each for each in process["threads"] if each["tid"] == tid]

    def check_nested(self, process, tid, inner, outer):
        """One OS thread: the inner state first, which waits, and the outer one below it, which does not."""
        states = self.states_of(process, tid)
        with_frames = [each for each in states if python_frames(each)]
        self.assertEqual([python_frames(each)[0] for each in with_frames], [inner, outer])
        first, second = with_frames
        self.assertNotEqual(first["interpreter"], second["interpreter"])
        self.assertEqual(first["wait"]["kind"], "read")
        self.assertEqual((second["status"], second["wait"]), ("waiting", None))
        self.assertEqual([first["suspended"], second["suspended"]], [False, True])
        return first, second

    def test_subinterpreters(self):
        for each in chosen():
            with self.subTest(each["name"]), Target([*each["command"], str(HERE / "subinterpreters.py")]) as target:
                for options in ((), ("--native",)):
                    process = target.dump(self, *options)
                    self.assertEqual(process["verdict"], "waiting", process["summary"])
                    self.assertEqual(len(process["interpreters"]), 4)
                    for name, tid in target.truth["inner"].items():
                        self.check_nested(process, tid, "inner_" + name, "work")
                    mains = [one for one in self.states_of(process, target.truth["main"]) if python_frames(one)]
                    self.assertEqual([python_frames(one) for one in mains], [["<module>"]])

    def c_target(self, each, mode):
        return Target([*each["command"], str(HERE / "c_states.py"), compiled("states.so", "-shared", "-fPIC"), mode])

    def c_interpreters(self):
        for each in chosen():
            if each["name"].startswith("bullseye"):
                print(f"skipped: {each['name']}: its libc is older than this machine's compiler's")
                continue
            yield each

    def test_entered_from_c(self):
        for each in self.c_interpreters():
            with self.subTest(each["name"]), self.c_target(each, "enter") as target:
                process = target.dump(self)
                self.check_nested(process, target.truth["tid"], "inner", "outer")
                self.assertEqual(process["verdict"], "waiting", process["summary"])

    def test_native_frames_of_each_state(self):
        """C, Python, C, Python: each state has its own part of the native stack, none twice."""
        for each in self.c_interpreters():
            if not each["name"].startswith("pyenv"):
                continue  # the evaluation loop has a name there
            with self.subTest(each["name"]), self.c_target(each, "enter") as target:
                process = target.dump(self, "--native")
                inner, outer = self.check_nested(process, target.truth["tid"], "inner", "outer")
                kinds = [{one["kind"] for one in state["frames"]} for state in (inner, outer)]
                self.assertEqual(kinds, [{"python", "native"}] * 2)
                places = [one["address"] for state in (inner, outer) for one in state["frames"]]
                self.assertEqual(sum(one["function"] == "enter" for one in outer["frames"]), 1)
                self.assertFalse(any(one["function"] == "enter" for one in inner["frames"]), places)

    def test_parked_in_c(self):
        for each in self.c_interpreters():
            with self.subTest(each["name"]), self.c_target(each, "park") as target:
                (state,) = self.states_of(target.dump(self), target.truth["tid"])
                self.assertEqual((state["name"], python_frames(state)[0]), ("parks", "parks"))
                self.assertEqual(state["wait"]["kind"], "signal")

    def test_native_thread_that_calls_python(self):
        for each in self.c_interpreters():
            with self.subTest(each["name"]), self.c_target(each, "ensure") as target:
                (state,) = self.states_of(target.dump(self), target.truth["tid"])
                self.assertEqual(python_frames(state), ["inner", "<module>"])
                self.assertEqual((state["kind"], state["interpreter"], state["wait"]["kind"]), ("python", 0, "read"))

    def test_moved_to_another_thread(self):
        for each in self.c_interpreters():
            if each["debug"] and each["version"].startswith("3.11."):
                print(f"skipped: {each['name']}: its allocator's check forbids such a state")
                continue
            with self.subTest(each["name"]), self.c_target(each, "move") as target:
                self.assertNotEqual(target.truth["tid"], target.truth["main"])
                process = target.dump(self)
                (state,) = self.states_of(process, target.truth["tid"])
                self.assertEqual(python_frames(state), ["inner", "<module>"])
                mains = [python_frames(one) for one in self.states_of(process, target.truth["main"])]
                self.assertEqual([one for one in mains if one], [["<module>"]])

    def test_left_behind(self):
        for each in self.c_interpreters():
            with self.subTest(each["name"]), self.c_target(each, "leave") as target:
                process = target.dump(self)
                without = [one for one in process["threads"] if one["tid"] is None]
                self.assertEqual([python_frames(one) for one in without], [[]])
                gaps = [gap["reason"] for gap in process["gaps"] if "without an OS thread" in gap["where"]]
                self.assertEqual(gaps, ["no thread of the process belongs to its thread state"])


class Phases(unittest.TestCase):
    def phase(self, each, mode):
        return Target([*each["command"], str(HERE / "phases.py"), mode])

    def test_atexit(self):
        """Not finalizing yet: handlers run before that."""
        for each in chosen():
            with self.subTest(each["name"]), self.phase(each, "atexit") as target:
                process = target.dump(self)
                (main,) = process["threads"]
                self.assertEqual(python_frames(main), ["at_exit"])

    def test_teardown(self):
        for mode in ("teardown", "daemons"):
            for each in chosen():
                with self.subTest(f"{mode} {each['name']}"), self.phase(each, mode) as target:
                    process = target.dump(self)
                    self.assertEqual(process["state"], "finalizing")
                    mains = [one for one in process["threads"] if one["tid"] == target.pid]
                    self.assertEqual([python_frames(one) for one in mains], [["__del__"]])
                    tids = {one["tid"] for one in process["threads"]} - {None}  # up to 3.13 daemons end, and leave their states
                    self.assertEqual(tids, set(scoped_target.tids_of(target.pid)))
                    self.assertNotIn(process["verdict"], ("deadlock", "possible-deadlock"), process["summary"])

    def test_ended(self):
        libraries = [(each, libpython(each)) for each in chosen() if libpython(each)]
        if not libraries:
            self.skipTest("no libpython here that the host's linker can load (pyenv has them)")
        for each, library in libraries:
            home = str(pathlib.Path(library).parent.parent)
            with self.subTest(each["name"]), Target([compiled("ended"), library], env={"PYTHONHOME": home}) as target:
                process = target.dump(self, "--native")
                self.assertEqual((process["state"], process["interpreters"]), ("finalizing", []))
                self.assertTrue(each["version"].startswith(process["python"]["version"]), process["python"])
                (thread,) = process["threads"]
                self.assertEqual((thread["kind"], thread["tid"]), ("native", target.pid))
                self.assertIn("main", [one["function"] for one in thread["frames"]])
                self.assertTrue(any("no interpreter any more" in gap["reason"] for gap in process["gaps"]))


if __name__ == "__main__":
    program.executable()
    unittest.main()
