#!/usr/bin/python3
"""CPython on musl, dynamic and fully static: idents, locks and the GIL's waiters are read; what stands beside a
futex word is no struct of glibc's there, and nothing is claimed of it."""

import pathlib
import unittest

import place
import suites
from place import PARKED, Place, dump


def musl_interpreters():
    return sorted(map(str, pathlib.Path(suites.base_dir()).glob("*musl*/bin/python3.*")))


INTERPRETERS = musl_interpreters()


@unittest.skipUnless(INTERPRETERS, "no interpreter built with musl here")
class Musl(unittest.TestCase):
    def test_threads_and_locks(self):
        for python in INTERPRETERS:
            with self.subTest(python), Place([python, PARKED]) as here:
                for options in ([], ["--native"]):
                    here.check(self, *options, whole=False)
                here.ends_well(self)

    def test_no_semaphore_is_taken_for_a_mutex(self):
        """A waiter's sem_t has -1 in its word, which read as glibc's says that a dead thread has it."""
        for python in INTERPRETERS:
            for scenario in ("rlock_reentry", "conditions", "streams"):
                interpreter = {"command": [python]}
                path = place.TESTS / "scenarios" / "locks" / f"{scenario}.py"
                with self.subTest(f"{python} {scenario}"), place.scoped_target.ScopedTarget(interpreter, path) as target:
                    code, document, _ = dump(target.pid)
                    self.assertEqual(code, 0)
                    self.assertNotEqual(document["findings"]["verdict"], "deadlock")
                    kinds = {each["kind"] for each in document["processes"][0]["resources"]}
                    self.assertFalse({each for each in kinds if each.startswith("pthread")}, kinds)

    def test_waiters_of_the_gil(self):
        """They sleep on words of their own, which the GIL's condition lists."""
        for python in INTERPRETERS:
            target = place.scoped_target.ScopedTarget({"command": [python]}, "gil_contention")
            with self.subTest(python), target:
                # Each wakes every 5 ms and may be on a processor at the moment of a look.
                seen = set()
                for _ in range(20):
                    _, document, _ = dump(target.pid)
                    process = document["processes"][0]
                    seen |= {each["tid"] for each in process["threads"] if each["gil"] == "waits"}
                    if len(seen) >= 4:
                        break
                spinners = {each["native_id"] for each in target.truth["threads"] if each["name"].startswith("spinner")}
                self.assertEqual(seen, spinners)


if __name__ == "__main__":
    place.program.executable()
    unittest.main(verbosity=2)
