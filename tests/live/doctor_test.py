#!/usr/bin/python3
"""`pythreads doctor`: what it says where attaching works, and where it does not."""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import memory_test  # noqa: E402
import program  # noqa: E402
import scoped_target  # noqa: E402

NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}


def lines_of(done):
    """{what: what is said of it}"""
    return dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if not line.startswith(" "))


class Doctor(unittest.TestCase):
    def target(self):
        return scoped_target.ScopedTarget(interpreters.system_interpreter()[0], "known_lines")

    def test_where_it_works(self):
        with self.target() as target:
            done = program.run("doctor", target.pid)
            self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
            said = lines_of(done)
            self.assertEqual(set(said), {"attach", "Python", "user", "Yama", "ptrace", "sandbox", "memory"})
            self.assertRegex(said["attach"], rf"^process {target.pid} \(.*\) can be attached to$")
            self.assertRegex(said["Python"], r"^CPython 3\.\d+\.\d+, in /")
            self.assertIn("without capabilities", said["sandbox"])
            self.assertRegex(said["memory"], r"a look at \d+ threads? takes up to \d+ MiB")

    def test_of_no_process(self):
        done = program.run("doctor")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(set(lines_of(done)), {"user", "Yama", "ptrace", "sandbox", "memory"})

    def test_it_ends_as_a_dump_would(self):
        with subprocess.Popen(["sleep", "1000"]) as sleeper:
            try:
                for pid, code in ((2**31 - 2, 66), (sleeper.pid, 65), (os.getpid(), 0)):
                    self.assertEqual(program.run("dump", pid).returncode, code)
                    done = program.run("doctor", pid)
                    self.assertEqual(done.returncode, code, done.stdout)
            finally:
                sleeper.kill()

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_another_user(self):
        with self.target() as target:
            done = program.run("doctor", target.pid, **AS_NOBODY)
            self.assertEqual(done.returncode, 77, done.stdout)
            self.assertRegex(lines_of(done)["attach"], "runs as uid 0, pythreads as uid 65534 without the capability CAP_SYS_PTRACE")
            self.assertIn(b"\n  hint: run it as root", done.stdout)

    @unittest.skipUnless(shutil.which("strace"), "there is no strace to be another tracer")
    def test_another_tracer(self):
        with self.target() as target, subprocess.Popen(["strace", "-qq", "-o", os.devnull, "-p", str(target.pid)]) as tracer:
            try:
                wait_until_traced(target)
                done = program.run("doctor", target.pid)
                self.assertEqual(done.returncode, 77, done.stdout)
                self.assertIn(f"is already traced by strace (pid {tracer.pid})", lines_of(done)["attach"])
            finally:
                tracer.terminate()

    def test_little_memory(self):
        cgroup = memory_test.Cgroup()
        if cgroup.folder is None:
            self.skipTest(f"no memory cgroup can be made here ({cgroup.why_none})")
        self.addCleanup(cgroup.remove)
        # Enough to run in, and less than a look is said to need.
        cgroup.limit.write_text(str(3 << 30))
        with self.target() as target:
            done = program.run("doctor", target.pid, preexec_fn=cgroup.enter)
            self.assertRegex(lines_of(done)["memory"], r"^\d+ MiB of 3072 MiB are left in /")
        with subprocess.Popen([sys.executable, "-c", MANY_THREADS], stdout=subprocess.PIPE) as crowd:
            try:
                self.assertEqual(crowd.stdout.readline(), b"ready\n")
                cgroup.limit.write_text(str(150 << 20))
                done = program.run("doctor", crowd.pid, preexec_fn=cgroup.enter)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertRegex(lines_of(done)["memory"], r"^WARNING: \d+ MiB of 150 MiB are left in /.*a look at 1001 threads takes up to 199 MiB")
            finally:
                crowd.kill()


MANY_THREADS = """
import threading
threading.stack_size(64 * 1024)
for _ in range(1000):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""


def wait_until_traced(target):
    deadline = time.monotonic() + 60
    while not scoped_target.tracer_of(target.pid, target.pid):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


if __name__ == "__main__":
    ended = unittest.main(verbosity=2, exit=False).result
    sys.exit(0 if ended.wasSuccessful() else 1)
