#!/usr/bin/python3
"""The short form of truth.py: a few hundred looks at healthy and dead programs, on the system's interpreter and, where
there is one, a free-threaded. With PYTHREADS_TEST_ALL 20,000 on all. A soak that saw too little fails as well as a false
verdict does.
"""

import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live"), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import truth  # noqa: E402

ALL = bool(os.environ.get("PYTHREADS_TEST_ALL"))


def chosen():
    found = interpreters.for_scenarios(interpreters.find_interpreters())
    if ALL:
        return found
    free_threaded = [each for each in found if each["free_threaded"]]
    return [*interpreters.system_interpreter(), *free_threaded[:1]]


class Truth(unittest.TestCase):
    def test_no_verdict_is_false(self):
        total = truth.soak(program.released(), chosen(), 20_000 if ALL else 312)
        self.assertGreater(total["dead: deadlock"], 0)


class Counting(unittest.TestCase):
    """A soak that can't fail shows nothing."""

    @staticmethod
    def look(verdict, status="running", kind="Lock", owner=None, waiters=(), locked=None):
        process = {
            "threads": [{"status": status}],
            "resources": [{"kind": kind, "owner": owner, "waiters": list(waiters), "locked": locked}],
        }
        return process, {"verdict": verdict}

    def test_what_is_counted(self):
        seen = truth.collections.Counter()
        looks = [
            self.look("running"),
            self.look("waiting", "blocked", "Lock", {"tid": 8}, [{"tid": 7}], True),
            self.look("running", "running", "GIL", {"tid": 8}, [{"tid": 7}], True),
            self.look("running", "blocked", "RLock", None, [{"tid": 7}], False),
            self.look("running", "running", "RLock", None, [{"tid": 7}], None),
        ]
        truth.count("accounts", looks, seen)
        self.assertEqual(
            dict(seen),
            {"looks": 5, "running": 4, "waiting": 1, "with a blocked thread": 2, "with an owner": 1, "with a hand-over": 1},
        )

    def test_a_false_verdict_is_one(self):
        for kind, verdict, false in (
            ("accounts", "deadlock", True),
            ("accounts", "possible-deadlock", True),
            ("back_off", "possible-deadlock", False),
            ("back_off", "deadlock", True),
            ("accounts", "stalled", False),
        ):
            if false:
                with self.assertRaises(truth.Untrue, msg=(kind, verdict)):
                    truth.count(kind, [self.look(verdict)], truth.collections.Counter())
            else:
                truth.count(kind, [self.look(verdict)], truth.collections.Counter())


if __name__ == "__main__":
    unittest.main()
