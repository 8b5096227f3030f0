#!/usr/bin/python3
"""A target that has grown in one way is read whole, and in no more memory than is promised: 100,000 frames in one thread,
3,000 modules, 60 GB of address space, 500 MB of debug information. Never how long it took.

PYTHREADS_EXECUTABLE and PYTHREADS_BUILD (it holds tests/bench/bare_stop) say what to run.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]
import large_debug_info  # noqa: E402
import measured  # noqa: E402
import program  # noqa: E402
import promises  # noqa: E402
import targets  # noqa: E402

FRAMES = 99_900  # and threading's three; of a thread 100,000 are read
MODULES = 3_000
SPACE_GIB = 60
DEBUG_MIB = 500
SECONDS = 300


class Grown(targets.scoped_target.ScopedTarget):
    def __init__(self, way, what):
        interpreter = targets.interpreters.system_interpreter()[0]
        super().__init__(interpreter, str(HERE / "grown.py"), [way, str(what)], SECONDS)

    def wait_until_parked(self):
        deadline = time.monotonic() + self.seconds
        while any(targets.state_of(self.pid, tid) != "S" for tid in self.tids):
            if time.monotonic() > deadline:
                raise targets.TargetFailed("its threads did not come to rest")
            time.sleep(0.02)


class Growth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        cls.release = program.released()
        cls.tools = measured.Tools(os.environ["PYTHREADS_BUILD"], cls.release)
        cls.addClassCleanup(cls.tools.close)

    def dump(self, way, what):
        """The threads of a native dump that has no gap and took no more memory than promised."""
        with Grown(way, what) as target:
            bare = self.tools.bare(target.pid)
            dump = self.tools.dump(target.pid, "--native")
            document = json.loads(dump.run.output.read_bytes())
        self.assertEqual(dump.gaps, [])
        cell = {"threads": dump.threads, "frames": dump.frames, "stack_bytes": bare.stack_bytes}
        most = promises.most_memory(cell) / 1024
        print(f"{way} {what}: {dump.frames} frames, {dump.run.peak_kib} KiB, {most:.0f} at most")
        self.assertLessEqual(dump.run.peak_kib, most)
        threads = document["processes"][0]["threads"]
        self.assertEqual(len(threads), 2)
        return threads

    def test_frames(self):
        frames = self.dump("deep", FRAMES)[1]["frames"]
        deep = [frame for frame in frames if frame["function"] == "go_down"]
        self.assertEqual(len(deep), FRAMES)
        self.assertEqual({frame["line"] for frame in deep[1:]}, {deep[1]["line"]})
        self.assertEqual(frames[-1]["kind"], "native")

    def test_address_space(self):
        frames = self.dump("space", SPACE_GIB)[1]["frames"]
        self.assertIn("run", [frame["function"] for frame in frames])

    def in_the_last_library(self, libraries, grow=None):
        """Its frame, where one thread waits in the last of so many libraries."""
        if shutil.which("cc") is None:
            self.skipTest("there is no compiler to make a library with")
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            first = folder / "0.so"
            command = ["cc", "-g", "-O1", "-shared", "-fPIC", "-Wl,-z,max-page-size=4096"]
            subprocess.run([*command, str(HERE / "grown.c"), "-o", str(first)], check=True)
            if grow is not None:
                grow(first)
            for number in range(1, libraries):
                shutil.copyfile(first, folder / f"{number}.so")
            threads = self.dump("modules", folder)
        found = [frame for frame in threads[1]["frames"] if frame["function"] == "grown_wait"]
        self.assertEqual(len(found), 1)
        self.assertEqual(pathlib.Path(found[0]["module"]).parent, folder)
        self.assertEqual(pathlib.Path(found[0]["file"]).name, "grown.c")
        return found[0]

    def test_modules(self):
        self.in_the_last_library(MODULES)

    def test_debug_information(self):
        line = self.in_the_last_library(1)["line"]
        for with_ranges in (True, False):
            with self.subTest(with_ranges=with_ranges):

                def grow(path, with_ranges=with_ranges):
                    size = large_debug_info.grow(path, DEBUG_MIB, with_ranges)
                    self.assertGreater(size, DEBUG_MIB << 20)

                self.assertEqual(self.in_the_last_library(1, grow)["line"], line)


if __name__ == "__main__":
    unittest.main()
