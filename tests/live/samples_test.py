#!/usr/bin/python3
"""Several looks at one process: what is kept from look to look is still right where the process has changed."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

NAMES = ("pyenv-3.6.15", "pyenv-3.8.18", "system-3.11", "sid-3.14", "trixie-3.13t")
VERSIONS = 250
LIBRARY = """
#include <unistd.h>
int wait_in_library(int descriptor) { char byte; return (int)read(descriptor, &byte, 1) + 1; }
"""


class Changing(scoped_target.ScopedTarget):
    def __init__(self, interpreter):
        super().__init__(interpreter, str(HERE / "changing.py"))

    def wait_until_parked(self):
        """Nobody waits for it: it says when it has changed."""

    def tell(self, words, answered=True):
        os.write(self.process.stdin.fileno(), words.encode() + b"\n")
        return json.loads(self.read_line(60)) if answered else None


class Sampling:
    """pythreads at work, its looks read as they come."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [program.executable(), "dump", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "ASAN_OPTIONS": "detect_leaks=0"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for_look(self, number):
        for line in self.process.stdout:
            if line.startswith(b"Look %d, at " % number):
                return
        raise AssertionError(f"no look {number}: {self.process.stderr.read().decode()}")

    def wait_until_paused(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with open(f"/proc/{self.process.pid}/syscall", encoding="ascii") as file:
                if file.read().split()[0] == RT_SIGTIMEDWAIT:
                    return
            time.sleep(0.01)
        raise AssertionError("it does not wait for the next look")

    def end(self):
        output, errors = self.process.communicate(timeout=120)
        return self.process.returncode, output.decode(), errors.decode()


RT_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}[os.uname().machine]


class Samples(unittest.TestCase):
    interpreter = None

    def test_remade_functions_are_told_as_they_are(self):
        with Changing(self.interpreter) as target:
            target.tell("remake")
            done = program.run("dump", target.pid, "--samples", 60, "--interval", "20ms", "--full")
            self.assertEqual(done.returncode, 0, done.stderr)
            looks = done.stdout.decode().split("\nLook ")
            made = target.tell("remade")
        self.assertEqual(len(looks), 60)
        seen = []
        for look in looks:
            lines = dict(reversed(match) for match in re.findall(r'File "made\.py", line (\d+) in (\w+)', look))
            self.assertLessEqual(set(lines), {"inner", "outer", "<module>"}, look)
            if "inner" in lines:
                self.assertEqual(lines["inner"], lines["outer"], look)
                seen.append(int(lines["inner"]) - 2)
        # It may be met between two functions, and may not have come on since the look before.
        self.assertGreater(len(seen), 30)
        self.assertGreater(len(set(seen)), 15)
        for before, after in zip(seen, seen[1:]):
            self.assertLess((after - before) % VERSIONS, VERSIONS - 30, f"an old function at a new one's place: {seen}")
        if not self.interpreter["free_threaded"]:  # there what was freed is used again much later
            self.assertGreater(made["reused"], made["count"] / 4, "no memory was used again: this shows nothing")

    def test_native_frames_keep_their_names(self):
        def native_frames(document):
            (thread,) = json.loads(document)["processes"][0]["threads"]
            return [frame for frame in thread["frames"] if frame["kind"] == "native"]

        with Changing(self.interpreter) as target:
            for options in ([], ["--no-sandbox"]):
                once = program.run("dump", target.pid, "--json", "--native", *options)
                thrice = program.run("dump", target.pid, "--json", "--native", *options, "--samples", 3, "--interval", "0s")
                self.assertEqual((once.returncode, thrice.returncode), (0, 0), once.stderr + thrice.stderr)
                frames = native_frames(once.stdout)
                self.assertTrue(any(frame["function"] for frame in frames), frames)
                self.assertEqual(native_frames(thrice.stdout), frames)

    def test_a_library_that_was_loaded_meanwhile(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder, Changing(self.interpreter) as target:
            source, library = pathlib.Path(folder, "wait.c"), pathlib.Path(folder, "libwait.so")
            source.write_text(LIBRARY, encoding="ascii")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
            with Sampling(target.pid, "--samples", 3, "--interval", "3s", "--native", "--full") as sampling:
                sampling.wait_for_look(1)
                target.tell(f"load {library}")
                sampling.wait_for_look(2)
                code, output, errors = sampling.end()
        self.assertEqual(code, 0, errors)
        self.assertIn("wait_in_library", output)

    def test_it_becomes_another_program(self):
        with Changing(self.interpreter) as target:
            with Sampling(target.pid, "--samples", 100, "--interval", "200ms") as sampling:
                sampling.wait_for_look(2)
                target.tell("execute", answered=False)
                code, _, errors = sampling.end()
        self.assertEqual(code, 66, errors)
        self.assertRegex(errors, "ended, or executed another program")

    def test_it_ends(self):
        with Changing(self.interpreter) as target:
            with Sampling(target.pid, "--samples", 100, "--interval", "500ms", "--json") as sampling:
                sampling.wait_until_paused()
                os.kill(target.pid, signal.SIGKILL)
                code, output, errors = sampling.end()
        self.assertEqual(code, 66, errors)
        self.assertRegex(errors, "ended")
        document = json.loads(output)
        self.assertEqual(schema_check.problems(document), [])
        self.assertEqual(len(document["processes"]), 1)
        self.assertEqual([each["pid"] for each in document["errors"]], [target.pid])
        self.assertGreaterEqual(len(document["looks"]), 1)

    def test_lines_come_as_the_looks_are_made(self):
        with Changing(self.interpreter) as target:
            way = ["--samples", 100, "--interval", "200ms", "--format", "ndjson"]
            with Sampling(target.pid, *way) as sampling:
                read = [json.loads(sampling.process.stdout.readline()) for _ in range(4)]
                os.kill(target.pid, signal.SIGKILL)
                code, output, errors = sampling.end()
        self.assertEqual(code, 66, errors)
        read += [json.loads(line) for line in output.splitlines()]
        *pairs, last = read
        self.assertEqual(len(pairs) % 2, 0)
        for look, (process, findings) in enumerate(zip(pairs[::2], pairs[1::2]), 1):
            self.assertEqual((process["type"], process["look"], process["source"]["samples"]), ("process", look, look))
            self.assertEqual(process["process"]["pid"], target.pid)
            self.assertEqual((findings["type"], findings["look"], findings["errors"]), ("findings", look, []))
            self.assertEqual(findings["schema"], process["schema"])
        self.assertEqual((last["type"], last["look"]), ("findings", len(pairs) // 2 + 1))
        self.assertEqual((last["findings"]["verdict"], [each["pid"] for each in last["errors"]]), ("unknown", [target.pid]))

    def test_interrupted_between_two_looks(self):
        with Changing(self.interpreter) as target:
            with Sampling(target.pid, "--samples", 5, "--interval", "10m", "--json") as sampling:
                sampling.wait_until_paused()
                sampling.process.send_signal(signal.SIGINT)
                code, output, errors = sampling.end()
        self.assertEqual((code, errors), (0, ""))
        document = json.loads(output)
        self.assertEqual(schema_check.problems(document), [])
        self.assertEqual((document["source"]["samples"], len(document["looks"])), (1, 1))

    def test_who_stands_still_is_told(self):
        with Changing(self.interpreter) as target:
            done = program.run("dump", target.pid, "--json", "--samples", 4, "--interval", "50ms")
            shown = program.run("show", "-", stdin=done.stdout)
            target.tell("remake")
            moving = program.run("dump", target.pid, "--json", "--samples", 3, "--interval", "300ms")
        document = json.loads(done.stdout)
        self.assertEqual(schema_check.problems(document), [])
        self.assertEqual((document["source"]["samples"], len(document["looks"])), (4, 4))
        self.assertEqual([each["unmoved_looks"] for each in document["processes"][0]["threads"]], [4])
        self.assertRegex(shown.stdout.decode(), r"^Look 4, at .*\n")
        self.assertIn("unmoved in 4 looks", shown.stdout.decode())
        looks = {each["main"]: each["unmoved_looks"] for each in json.loads(moving.stdout)["processes"][0]["threads"]}
        self.assertEqual(looks, {True: 3, False: 1})


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    found = {each["name"]: each for each in interpreters.find_interpreters()}
    for name in [os.environ["PYTHREADS_TEST_INTERPRETERS"]] if "PYTHREADS_TEST_INTERPRETERS" in os.environ else NAMES:
        if name not in found:
            print(f"{name}: not installed here, nothing was tried with it")
            continue
        made = type(f"Samples {name}", (Samples,), {"interpreter": found[name]})
        suite.addTests(loader.loadTestsFromTestCase(made))
    return suite


if __name__ == "__main__":
    unittest.main(verbosity=2)
