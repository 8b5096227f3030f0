#!/usr/bin/python3
"""Targets that lie: nothing that they are called steers a terminal or forges a line, what they have written over their own
objects is bounded, files in the place of their libraries are never opened, and a dict that is resized meanwhile is a gap at the
worst.
"""

import json
import os
import pathlib
import shutil
import socket
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
import hostile_target  # noqa: E402


class Target(scoped_target.ScopedTarget):
    def __init__(self, *arguments):
        super().__init__(interpreters.system_interpreter()[0], str(HERE / "hostile_target.py"), arguments)

    def wait_until_parked(self):
        """The test itself waits, where it has to."""


def obeyed(text):
    """What a terminal would obey of it, and what would turn its lines round."""
    return [each for each in text if (ord(each) < 0x20 and each != "\n") or 0x7F <= ord(each) < 0xA0 or each in "\u2028\u2029\u202e"]


class Hostile(unittest.TestCase):
    def dump(self, target, *options):
        done = program.dump(target.pid, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def document(self, target, *options):
        document = json.loads(self.dump(target, "--json", *options).stdout)
        self.assertEqual(schema_check.problems(document), [])
        return document["processes"][0]

    def test_names(self):
        with Target("names", hostile_target.NASTY) as target, tempfile.TemporaryDirectory() as folder:
            process = self.document(target)
            names = {thread["name"] for thread in process["threads"]}
            self.assertIn(hostile_target.NASTY, names)
            functions = {frame["function"] for thread in process["threads"] for frame in thread["frames"]}
            files = {frame["file"] for thread in process["threads"] for frame in thread["frames"]}
            self.assertIn(hostile_target.NASTY, functions)
            self.assertIn(hostile_target.NASTY, files)
            self.assertTrue(any("\x1b[2J" in thread["os_name"] for thread in process["threads"]), "no hostile comm")
            saved = pathlib.Path(folder, "dump.json")
            saved.write_bytes(self.dump(target, "--json", "--native").stdout)
            for command in (
                ["dump", target.pid],
                ["dump", "--native", "--explain", "--locals", target.pid],
                ["graph", target.pid],
                ["dump", "--format", "dot", target.pid],
                ["dump", "--format", "mermaid", target.pid],
                ["check", target.pid],
                ["show", saved],
            ):
                with self.subTest(command):
                    done = program.run(*command)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    text = done.stdout.decode()
                    self.assertEqual(obeyed(text), [])
                    self.assertEqual(obeyed(done.stderr.decode()), [])
                    # No line is the target's own.
                    for line in text.splitlines():
                        self.assertFalse(line.startswith(("Thread 0x0 ", '  File "forged"')), line)

    def test_objects(self):
        with Target("objects") as target:
            began = time.monotonic()
            process = self.document(target, "--locals")
            [thread] = process["threads"]
            frame = next(each for each in thread["frames"] if each["function"] == "objects")
            found = {each["name"]: each["value"] for each in frame["locals"]}
            for name in ("long_str", "long_bytes", "long_list", "lost_list", "long_tuple", "long_int", "used_dict", "lost_dict",
                         "itself", "no_type", "own_type"):
                self.assertIn(name, found)
                self.assertLess(len(found[name]), 2000, name)
            self.assertEqual(thread["exception"]["type"], "ValueError")
            self.assertEqual(obeyed(self.dump(target, "--locals").stdout.decode()), [])
            self.assertLess(time.monotonic() - began, 100)
            self.assertIsNone(target.process.poll())

    def test_files_in_place_of_a_library(self):
        source = next(
            line.split()[-1] for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if "/libm.so" in line or "/libc.so" in line
        )
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        path = folder / "library.so"
        secret = folder / "secret"
        secret.write_text("root:$6$secret:19000\n")
        shutil.copy(source, path)
        with Target("library", str(folder)) as target:
            for kind in ("fifo", "device", "socket", "link out", "link to itself", "folder", "text"):
                path.unlink(missing_ok=True)
                writer = listener = None
                if kind == "fifo":
                    os.mkfifo(path)
                    # It waits in open until somebody opens the other end: whoever does so has done something to it.
                    writer = subprocess.Popen(["sh", "-c", f"exec echo opened > {path}"])
                elif kind == "device":
                    try:
                        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero has no end
                    except PermissionError:
                        print("no device can be made here: that case is left out")
                        continue
                elif kind == "socket":
                    listener = socket.socket(socket.AF_UNIX)
                    listener.bind(str(path))
                elif kind == "link out":
                    path.symlink_to("../" * 20 + str(secret)[1:])
                elif kind == "link to itself":
                    path.symlink_to(path)
                elif kind == "folder":
                    path.mkdir()
                else:
                    shutil.copy(secret, path)
                with self.subTest(kind):
                    for options in (["--json", "--native"], ["--native"]):
                        done = self.dump(target, *options)
                        self.assertNotIn(b"$6$", done.stdout + done.stderr)
                    if writer:
                        self.assertIsNone(writer.poll(), "the FIFO was opened")
                        writer.kill()
                        writer.wait()
                if listener:
                    listener.close()
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()

    def test_a_dict_that_is_resized(self):
        with Target("resizes") as target:
            named = 0
            for number in range(16):
                options = ["--no-stop"] if number % 2 else []
                process = self.document(target, *options)
                main = next(each for each in process["threads"] if each["main"])
                self.assertIn(main["name"], ("MainThread", None))
                self.assertIn([each["function"] for each in main["frames"]][:2], (["rest", "inner"], []))
                named += main["name"] == "MainThread"
            self.assertGreater(named, 8)
            self.assertIsNone(target.process.poll())


if __name__ == "__main__":
    program.executable()
    unittest.main(verbosity=2)
