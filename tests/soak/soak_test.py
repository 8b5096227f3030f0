#!/usr/bin/python3
"""Many dumps in a row of a program that checks itself: nothing is lost, nothing stays stopped.

PYTHREADS_SOAK_DUMPS says how many (without it 100, with PYTHREADS_TEST_ALL 1,000), PYTHREADS_SOAK_INTERPRETERS on
which (the system's; `all`).
"""

import json
import os
import pathlib
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]
import busy_target  # noqa: E402
import interpreters  # noqa: E402
import program  # noqa: E402

DUMPS = int(os.environ.get("PYTHREADS_SOAK_DUMPS") or (1000 if os.environ.get("PYTHREADS_TEST_ALL") else 100))
WAYS = [["--json"], [], ["--native"], ["--json", "--native", "--locals"], ["--locals"]]


def chosen():
    names = os.environ.get("PYTHREADS_SOAK_INTERPRETERS")
    if not names:
        return [busy_target.system_python()]
    return [each for each in interpreters.find_interpreters() if names == "all" or each["name"] in names.split(",")]


class Soak(unittest.TestCase):
    def test_nothing_is_lost(self):
        for interpreter in chosen():
            with self.subTest(interpreter["name"]), busy_target.BusyTarget(interpreter) as target:
                self.soak(interpreter, target)

    def soak(self, interpreter, target):
        held = []
        began = time.monotonic()
        for number in range(DUMPS):
            way = WAYS[number % len(WAYS)]
            done = program.dump(target.pid, *way)
            self.assertEqual(done.returncode, 0, f"dump {number} {way}: {done.stderr.decode(errors='replace')[:2000]}")
            self.assertEqual(done.stderr, b"", f"dump {number} {way}")
            if "--json" in way:
                document = json.loads(done.stdout)
                self.assertEqual(document["errors"], [])
                held.append(document["source"]["pause_ms"])
            self.assertEqual(target.left_behind(), [], f"after dump {number}")
            self.assertIsNone(target.process.poll())
        self.assertIsNone(target.advances())
        said = target.verdict()
        self.assertEqual(said["problems"], [])
        self.assertTrue(said["ok"])
        self.assertEqual(target.process.returncode, 0)
        print(
            f"{interpreter['name']}: {DUMPS} dumps in {time.monotonic() - began:.0f} s, held for {max(held):.1f} ms"
            f" at most, {sum(said['counters'].values())} checked steps"
        )


if __name__ == "__main__":
    unittest.main()
