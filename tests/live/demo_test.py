#!/usr/bin/python3
"""What `make demo` shows: a person must see in its first ten lines who is deadlocked, on which locks, at which lines.

Runs the released program where there is one (PYTHREADS_RELEASE), else the one under test.
"""

import os
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import program  # noqa: E402

DEMO = HERE.parents[1] / "docs" / "demo"


class Demo(unittest.TestCase):
    def test_its_first_ten_lines(self):
        executable = program.released()
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(
            [str(DEMO / "run"), executable], capture_output=True, text=True, timeout=120, env=environment, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        lines = done.stdout.splitlines()
        self.assertTrue(lines[0].startswith("$ pythreads dump "), lines[0])
        self.assertTrue(lines[1].startswith("Verdict: deadlock (certain"), lines[1])
        source = (DEMO / "bank.py").read_text().splitlines()
        head = "\n".join(lines[:10])
        for needed in ("transfer-alice-bob", "transfer-bob-alice", "RLock 0x"):
            self.assertIn(needed, head)
        for code in ("with target.lock:", "with source.lock:"):
            number = next(i for i, line in enumerate(source, 1) if code in line)
            self.assertRegex(head, rf"(bank\.py:|line ){number}\b")
        for worker in ("teller_0", "teller_1", "teller_2"):
            self.assertIn(worker, head)
        pid = int(lines[0].split()[-1])
        self.assertFalse(os.path.exists(f"/proc/{pid}"), "the bank was left running")


if __name__ == "__main__":
    unittest.main(verbosity=2)
