"""A Python somewhere: a process with `parked.py` in it, started by whatever command, and what a dump must say of it.

    with Place([python, PARKED]) as place:
        place.check(self)

Nothing here knows where libpython is; each test puts it somewhere else.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / each) for each in ("live", "support", "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

PARKED = str(HERE / "parked.py")
SYSTEM_PYTHON = interpreters.SYSTEM_PYTHON


def built(name):
    """A program of this folder, built by CMake."""
    return str(pathlib.Path(os.environ["PYTHREADS_WHEREABOUTS"], name))


def dump(*arguments, **more):
    """(exit code, document, standard error) of a dump as JSON."""
    done = program.dump("--json", *arguments, **more)
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def children_of(pid):
    """By /proc of the test's own pid namespace."""
    found = []
    for task in scoped_target.tids_of(pid):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        except OSError:
            pass
    return found


def descendants_of(pid):
    found = children_of(pid)
    for each in found:
        found += children_of(each)
    return found


class Place:
    """A running command. `first_line` is what it says first; `truth` that, if it is parked.py's."""

    def __init__(self, command, env=None, seconds=90, **more):
        self.command = list(map(str, command))
        self.env = {**scoped_target.environment(), **(env or {})}
        self.seconds = seconds
        self.more = more
        self.truth = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            cwd=self.more.pop("cwd", "/"),
            start_new_session=True,
            **self.more,
        )
        try:
            self.first_line = self.read_line()
            if self.first_line.startswith("{"):
                self.truth = json.loads(self.first_line)
                self.wait_until_parked()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # Those below it too: the session is its own.
        for pid in [*descendants_of(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    @property
    def pid(self):
        return self.process.pid

    def read_line(self, stream=None):
        output = (stream or self.process.stdout).fileno()
        text = b""
        deadline = time.monotonic() + self.seconds
        while not text.endswith(b"\n"):
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise scoped_target.TargetFailed(f"{self.command}: nothing said within {self.seconds} s")
            byte = os.read(output, 1)
            if not byte:
                os.set_blocking(self.process.stderr.fileno(), False)
                said = (self.process.stderr.read() or b"").decode(errors="replace")
                raise scoped_target.TargetFailed(f"{self.command}: ended before it was ready: {said[-2000:]}")
            text += byte
        return text.decode(errors="surrogateescape").strip()

    def host_pid(self):
        """The pid, as it is seen from here, of the process that told the truth: itself, or one below it."""
        for pid in [self.pid, *descendants_of(self.pid)]:
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                    numbers = next(line for line in file if line.startswith("NSpid:")).split()
            except (OSError, StopIteration):
                continue
            if int(numbers[-1]) == self.truth["pid"]:
                return pid
        raise scoped_target.TargetFailed(f"{self.command}: no process below it has the pid {self.truth['pid']}")

    def wait_until_parked(self):
        pid = self.host_pid()

        def asleep():
            looks = [scoped_target.thread_look(pid, tid) for tid in scoped_target.tids_of(pid)]
            return len(looks) >= 3 and all(look and look[0] == "S" for look in looks)

        wait_for(asleep)

    def ends_well(self, test, pid=None):
        """Nothing was disturbed: it answers, and ends as it was to."""
        self.process.stdin.write(b"x")
        self.process.stdin.close()
        self.process.wait(60)
        test.assertEqual(self.process.returncode, 0)

    def check(self, test, *options, pid=None, whole=None, **more):
        """The dump tells the truth that parked.py told. Returns the process of the document."""
        pid = pid or self.host_pid()
        whole = "--native" in options if whole is None else whole
        code, document, said = dump(*options, pid, **more)
        test.assertEqual((code, said), (0, ""))
        test.assertEqual(schema_check.problems(document), [])
        process = document["processes"][0]
        test.assertEqual(process["pid"], pid)
        test.assertEqual(process["python"]["version"], self.truth["version"])
        threads = {each["name"]: each for each in process["threads"] if each["kind"] == "python"}
        test.assertEqual(sorted(threads), sorted(self.truth["threads"]))
        for name, told in self.truth["threads"].items():
            thread = threads[name]
            test.assertEqual(thread["namespace_tid"], told["native_id"], name)
            test.assertEqual(int(thread["ident"], 16), told["ident"], name)
            files = [each["file"] for each in thread["frames"] if each["kind"] == "python"]
            test.assertTrue(any(each.endswith("parked.py") for each in files), thread["frames"])
            if whole:
                test.assertEqual([each for each in thread["frames"] if each["kind"] == "gap"], [], name)
                test.assertEqual({each["trust"] for each in thread["frames"] if each["kind"] == "native"}, {"exact"})
        waiter, holder = threads["waiter"], threads["holder"]
        test.assertEqual(waiter["wait"]["kind"], "lock")
        lock = next(each for each in process["resources"] if each["id"] == waiter["wait"]["resource"])
        test.assertEqual(int(lock["address"], 16), self.truth["lock"])
        test.assertEqual((lock["owner"]["pid"], lock["owner"]["tid"]), (pid, holder["tid"]))
        test.assertEqual(lock["owner"]["certainty"], "certain")
        return process
