#!/usr/bin/python3
"""Out of memory: where it is limited, the kernel kills pythreads and not the target, which is the largest process.

Needs a memory cgroup of its own, version 1 or 2; skips aloud where none can be made.
"""

import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
import program  # noqa: E402

MIB = 1 << 20
LARGE, DEPTH = 256, 80_000
# Much to read, and by far the largest of the cgroup.
TARGET = f"""
import sys
sys.setrecursionlimit({DEPTH + 100})
held = bytearray({LARGE} * 1024 * 1024)
held[::4096] = b"x" * len(held[::4096])
def down(depth, first, second, third, fourth, fifth):
    if depth:
        return down(depth - 1, first + 1, second + 2, third + 3, fourth + 4, fifth + 5)
    for line in sys.stdin:
        print("here", flush=True)
print("ready", flush=True)
down({DEPTH}, 1, 2, 3, 4, 5)
"""
# Takes what there is, and does not offer itself.
GLUTTON = f"""
taken = []
for _ in range({LARGE} // 2):
    taken.append(bytearray(b"x" * 1024 * 1024))
"""


class Cgroup:
    def __init__(self):
        self.folder, self.limit = None, None
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            _, mount, kind, options = line.split()[:4]
            if kind not in ("cgroup", "cgroup2") or (kind == "cgroup" and "memory" not in options.split(",")):
                continue
            folder = pathlib.Path(mount) / f"pythreads-memory-test-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError as error:
                self.why_none = f"{folder}: {error.strerror}"
                continue
            self.limit = folder / ("memory.max" if kind == "cgroup2" else "memory.limit_in_bytes")
            self.usage = folder / ("memory.current" if kind == "cgroup2" else "memory.usage_in_bytes")
            if self.limit.exists():
                self.folder = folder
                return
            self.why_none = f"{mount} has no memory controller"
            folder.rmdir()

    why_none = "no cgroup is mounted"

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def leave_headroom(self, size):
        for name in ("memory.swap.max", "memory.swappiness"):
            try:
                (self.folder / name).write_text("0")
            except OSError:
                pass
        self.limit.write_text(str(int(self.usage.read_text()) + size))

    def remove(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.folder.rmdir()
            except OSError:  # who was killed is still leaving it
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def peak_of(*arguments):
    """How much memory a run needs where there is enough."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execv(program.executable(), [program.executable(), *map(str, arguments)])
    _, status, usage = os.wait4(child, 0)
    assert status == 0, status
    return usage.ru_maxrss * 1024


class Memory(unittest.TestCase):
    def setUp(self):
        self.cgroup = Cgroup()
        if self.cgroup.folder is None:
            self.skipTest(f"no memory cgroup can be made here ({self.cgroup.why_none})")
        self.addCleanup(self.cgroup.remove)
        self.target = subprocess.Popen(
            [sys.executable, "-c", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=self.cgroup.enter
        )
        self.addCleanup(self.target.communicate)
        self.addCleanup(self.target.kill)
        self.assertEqual(self.target.stdout.readline(), b"ready\n")

    def answer(self):
        self.target.stdin.write(b"are you there?\n")
        self.target.stdin.flush()
        return self.target.stdout.readline()

    def test_the_kernel_kills_pythreads_and_not_the_target(self):
        self.assertEqual(self.answer(), b"here\n")
        options = ["--locals", "--json", "--deadline", "100s"]
        least, most = peak_of("--version"), peak_of("dump", self.target.pid, *options)
        self.assertGreater(most - least, 16 * MIB)
        # Enough to begin with, and too little for all.
        self.cgroup.leave_headroom(least + (most - least) // 4)
        done = program.run("dump", self.target.pid, *options, preexec_fn=self.cgroup.enter)
        # One of its two processes: the one that attached, or the one that decodes, which the other one tells of.
        self.assertTrue(done.returncode == -9 or (done.returncode == 70 and b"SIGKILL" in done.stderr), done)
        self.assertEqual(self.answer(), b"here\n")

    def test_without_that_it_would_have_been_the_target(self):
        self.cgroup.leave_headroom(16 * MIB)
        subprocess.run([sys.executable, "-c", GLUTTON], preexec_fn=self.cgroup.enter, check=False)
        self.assertEqual(self.target.wait(60), -9)


if __name__ == "__main__":
    ended = unittest.main(exit=False, verbosity=2).result
    sys.exit(1 if not ended.wasSuccessful() else 77 if ended.skipped else 0)
