#!/usr/bin/python3
"""How many system calls a dump may make: so many, and so many for each thread more; and of these while it holds.

Counted by strace. Not counted are the calls by which it waits, for those depend on the machine's load, and by which
the allocator gets memory, for those depend on the build. A ceiling that is raised is a cost that was taken on: say why.
"""

import os
import pathlib
import shutil
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]
import measured  # noqa: E402
import program  # noqa: E402
import system_calls  # noqa: E402
import targets  # noqa: E402

WAITING = {"waitid", "futex", "restart_syscall", "sched_yield", "nanosleep", "clock_nanosleep"}
MEMORY = {"brk", "mmap", "munmap", "mremap", "mprotect", "madvise"}

# (at all, for each thread)
CEILING = (1000, 15)
HELD_CEILING = (40, 3.1)


def counted(counter):
    return sum(number for name, number in counter.items() if name not in WAITING | MEMORY)


class Calls(unittest.TestCase):
    def test_ceiling(self):
        os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        tools = measured.Tools(os.environ["PYTHREADS_BUILD"], program.released())
        self.addCleanup(tools.close)
        for threads in (1, 100, 1000):
            with targets.Crowd(targets.interpreters.system_interpreter()[0], threads, 20, "blocked") as target:
                got = system_calls.count(tools, target.pid, "--native")
            for what, counter, ceiling in (("all", got[0], CEILING), ("held", got[1], HELD_CEILING)):
                most = ceiling[0] + ceiling[1] * threads
                print(f"{threads} threads, {what}: {counted(counter)} calls, {most:.0f} at most")
                with self.subTest(threads=threads, what=what):
                    self.assertLessEqual(counted(counter), most, counter.most_common(12))
                    # A count of nothing keeps every ceiling.
                    self.assertGreater(counter["ptrace"], 2 * threads)


if __name__ == "__main__":
    if shutil.which("strace") is None:
        print("calls_test.py: skipped: there is no strace to count with")
        sys.exit(77)
    unittest.main()
