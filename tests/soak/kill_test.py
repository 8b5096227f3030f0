#!/usr/bin/python3
"""pythreads is killed at each of its system calls: the target goes on as if nothing had been.

PYTHREADS_KILLER names the built killer. PYTHREADS_KILL_EACH=1 (or PYTHREADS_TEST_ALL) kills at each call; without it at about 60 of them,
spread evenly.
"""

import os
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]
import busy_target  # noqa: E402
import program  # noqa: E402

POINTS = 60
# Under a supervisor each call takes its time.
PATIENCE = ["--pause-budget", "60s", "--deadline", "60s"]
EACH = os.environ.get("PYTHREADS_KILL_EACH") or os.environ.get("PYTHREADS_TEST_ALL")


class Killed(unittest.TestCase):
    def kill_at(self, target, number, *options):
        """The words that the killer printed."""
        done = subprocess.run(
            [os.environ["PYTHREADS_KILLER"], str(number), program.released(), "dump", *PATIENCE, *options, str(target.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        said = [line for line in done.stdout.decode(errors="replace").splitlines() if line[:6] in ("killed", "ended ")]
        self.assertEqual(len(said), 1, done.stdout[-500:])
        return said[0].split()

    def test_the_target_goes_on(self):
        for options in ([], ["--native", "--locals"]):
            with busy_target.BusyTarget(busy_target.system_python()) as target:
                ended, count, status = self.kill_at(target, 0, *options)
                self.assertEqual((ended, status), ("ended", "0"))
                # Other looks need more or fewer calls than the first.
                most = int(count)
                step = 1 if EACH else max(1, most // POINTS)
                killed, number = 0, 1
                while number <= most:
                    said = self.kill_at(target, number, *options)
                    self.assertEqual(target.left_behind(), [], said)
                    self.assertIsNone(target.process.poll(), said)
                    if said[0] == "killed":
                        killed += 1
                    if number % (20 * step) == 1:
                        self.assertIsNone(target.advances(), said)
                    number += step
                self.assertIsNone(target.advances())
                verdict = target.verdict()
                self.assertEqual((verdict["ok"], verdict["problems"]), (True, []))
                self.assertGreater(killed, 20)
                print(f"dump {' '.join(options)}: killed at {killed} of about {most} entries and returns")


if __name__ == "__main__":
    unittest.main()
