#!/usr/bin/python3
"""What reads apart (attach/read_apart.h): its rights, its crash, its hang, its end; and that it reads the same."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

# So much to read that the reader lives for a while.
DEPTH = 60_000
DEEP = f"""
import sys
sys.setrecursionlimit({DEPTH + 100})
def down(depth, first, second, third):
    if depth:
        return down(depth - 1, first + 1, second + 2, third + 3)
    print("ready", flush=True)
    for line in sys.stdin:
        print("here", flush=True)
down({DEPTH}, 1, 2, 3)
"""


class DeepTarget:
    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", DEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def answers(self):
        self.process.stdin.write(b"are you there?\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == b"here\n"


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(errors="replace")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def children_of(pid):
    try:
        return list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        pass  # it has ended, or the kernel has no such file
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if status_of(folder.name)["PPid"] == str(pid):
                    found.append(int(folder.name))
            except (OSError, KeyError):
                pass
    return found


class Run:
    """A pythreads that reads a deep target, caught with its reader at work."""

    def __init__(self, *arguments):
        command = [program.executable(), *map(str, arguments)]
        # A sanitizer would tell of a crash, and end by itself.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        deadline = time.monotonic() + 60
        while True:
            for child in children_of(self.process.pid):
                try:
                    self.status = status_of(child)
                except OSError:
                    continue
                if self.status.get("NoNewPrivs") == "1" and self.status.get("Seccomp") == "2":
                    self.reader = child
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no reader was seen: {self.process.communicate()[1]}")

    def end(self):
        output, errors = self.process.communicate(timeout=120)
        return self.process.returncode, output, errors.decode()


def without_times(value):
    if isinstance(value, dict):
        return {
            key: without_times(each)
            for key, each in value.items()
            if not key.endswith("_ms") and key not in ("captured_at", "started_at", "options")
        }
    return [without_times(each) for each in value] if isinstance(value, list) else value


class ReadApart(unittest.TestCase):
    def test_it_has_no_rights(self):
        with DeepTarget() as target:
            run = Run("dump", *program.PATIENCE, "--locals", "--json", target.pid)
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(int(run.status[name], 16), 0, name)
            self.assertEqual(run.status["NoNewPrivs"], "1")
            self.assertEqual(run.status["Seccomp"], "2")
            code, output, errors = run.end()
            self.assertEqual((code, errors), (0, ""))
            frames = json.loads(output)["processes"][0]["threads"][0]["frames"]
            self.assertGreater(len(frames), DEPTH)

    def test_a_crash_is_told_and_the_target_goes_on(self):
        with DeepTarget() as target:
            for number, name in ((signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")):
                run = Run("dump", *program.PATIENCE, "--locals", "--json", target.pid)
                os.kill(run.reader, number)
                code, output, errors = run.end()
                self.assertEqual(code, 70, errors)
                self.assertRegex(errors, rf"pythreads: what read process {target.pid} was killed by {name}.* goes on\n")
                document = json.loads(output)
                self.assertEqual(schema_check.problems(document), [])
                self.assertEqual(document["processes"], [])
                self.assertEqual([(each["pid"], each["code"], each["exit"]) for each in document["errors"]], [(target.pid, "internal", 70)])
                self.assertTrue(target.answers())

    def test_a_crash_leaves_the_other_process(self):
        with DeepTarget() as target, scoped_target.ScopedTarget(interpreters.system_interpreter()[0], "known_lines") as other:
            run = Run("dump", *program.PATIENCE, "--locals", "--json", target.pid, other.pid)
            os.kill(run.reader, signal.SIGSEGV)
            code, output, errors = run.end()
            self.assertEqual(code, 70, errors)
            document = json.loads(output)
            self.assertEqual([each["pid"] for each in document["processes"]], [other.pid])
            self.assertEqual([each["pid"] for each in document["errors"]], [target.pid])

    def test_check_does_not_know_then(self):
        with DeepTarget() as target:
            run = Run("check", *program.PATIENCE, target.pid)
            os.kill(run.reader, signal.SIGSEGV)
            code, output, _ = run.end()
            self.assertEqual(code, 3, output)
            self.assertIn(b"was killed by SIGSEGV", output)

    def test_what_hangs_is_ended_at_the_deadline(self):
        with DeepTarget() as target:
            run = Run("dump", "--pause-budget", "60s", "--deadline", "8s", "--locals", "--json", target.pid)
            os.kill(run.reader, signal.SIGSTOP)
            self.assertTrue(target.answers())
            code, output, errors = run.end()
            self.assertEqual(code, 75, errors)
            self.assertEqual([each["code"] for each in json.loads(output)["errors"]], ["deadline_passed"])
            self.assertFalse(os.path.exists(f"/proc/{run.reader}"))

    def test_it_ends_with_pythreads(self):
        with DeepTarget() as target:
            run = Run("dump", *program.PATIENCE, "--locals", target.pid)
            os.kill(run.reader, signal.SIGSTOP)
            run.process.kill()
            run.end()
            deadline = time.monotonic() + 60
            while os.path.exists(f"/proc/{run.reader}") and status_of(run.reader)["State"][0] != "Z":
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            self.assertTrue(target.answers())

    def test_it_reads_the_same(self):
        options = ["--native", "--locals", "--json"]
        for scenario in ("known_lines", "local_variables", "rlock_deadlock", "many_threads"):
            with scoped_target.ScopedTarget(interpreters.system_interpreter()[0], scenario) as target:
                apart = program.dump(*options, target.pid)
                here = program.dump(*options, "--no-sandbox", target.pid)
                self.assertEqual((apart.returncode, here.returncode), (0, 0), apart.stderr + here.stderr)
                self.assertEqual(without_times(json.loads(apart.stdout)), without_times(json.loads(here.stdout)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
