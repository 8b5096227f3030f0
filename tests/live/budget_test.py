#!/usr/bin/python3
"""--pause-budget: what is given up when there is no time, in which order, and that it is said."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
import program  # noqa: E402

WAITERS, SLEEPERS = 100, 700
DEEP = ["--native", "--locals", "--json", "--deadline", "100s"]


class Budget(unittest.TestCase):
    def setUp(self):
        self.target = subprocess.Popen(
            [sys.executable, str(HERE / "budget_target.py"), str(WAITERS), str(SLEEPERS)],
            stdout=subprocess.PIPE,
        )
        self.assertEqual(self.target.stdout.readline(), b"ready\n")

    def tearDown(self):
        self.target.send_signal(signal.SIGKILL)
        self.target.communicate()

    def dump(self, *options):
        done = program.run("dump", self.target.pid, *DEEP, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        return document, document["processes"][0]

    def test_with_time_for_all_there_is_no_gap(self):
        document, process = self.dump("--pause-budget", "60s")
        self.assertEqual(process["gaps"], [])
        self.assertTrue(all(each["held"] for each in process["threads"]))
        self.assertEqual(document["findings"]["verdict"], "deadlock")

    def test_locks_and_owners_are_never_given_up(self):
        document, process = self.dump("--pause-budget", "1ms")
        # Names are given up before native stacks, and local variables before those.
        told = "; ".join(each["reason"] for each in process["gaps"] if each["where"] == "process")
        self.assertIn("the pause budget of 1 ms left no time for: local variables and exceptions", told)
        self.assertIn("native stacks", told)
        self.assertIn("was not kept", told)
        self.assertEqual(document["findings"]["verdict"], "deadlock")
        cause = next(each for each in document["findings"]["causes"] if each["kind"] == "lock-cycle")
        self.assertEqual(cause["certainty"], "certain", cause)
        functions = {each["tid"]: [f["function"] for f in each["frames"] if f["kind"] == "python"] for each in process["threads"]}
        waiting = [each for each in process["threads"] if "wait_for_first" in functions[each["tid"]]]
        self.assertEqual(len(waiting), WAITERS)
        for thread in waiting:
            self.assertTrue(thread["held"])
            self.assertEqual(thread["status"], "blocked")
            self.assertIsNotNone(thread["wait"]["resource"])
        for thread in process["threads"]:
            self.assertFalse(any(frame["locals"] for frame in thread["frames"]))
        let_be = [each for each in process["threads"] if not each["held"]]
        self.assertGreater(len(let_be), SLEEPERS / 2)
        said = {each["where"] for each in process["gaps"] if "left no time to stop it" in each["reason"]}
        for thread in let_be:
            self.assertIn("thread %d" % thread["tid"], said)
            self.assertEqual(thread["status"], "waiting")
            self.assertTrue({"sleep_outside", "<module>"} & set(functions[thread["tid"]]))

    def test_a_target_that_was_let_be_takes_its_signals(self):
        for _ in range(20):
            self.dump("--pause-budget", "1ms")
        os.kill(self.target.pid, signal.SIGTERM)
        self.assertEqual(self.target.wait(20), -signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
