#!/usr/bin/python3
"""No code runs in the target and nothing is written to it: every system call of pythreads is looked at.

Skips aloud where strace(1) is not there or may not trace.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
import program  # noqa: E402
import traced_calls  # noqa: E402

# Threads in a lock, in a queue, in a native call and on a processor; a lock that nobody will release.
TARGET = """
import queue, threading, time
lock, first, second = threading.Lock(), threading.Lock(), threading.Lock()
def one():
    with first:
        time.sleep(0.3)
        with second: pass
def other():
    with second:
        time.sleep(0.3)
        with first: pass
def count():
    number = 0
    while True: number += 1
threads = [one, other, count, queue.Queue().get, lambda: time.sleep(10_000)]
for each in threads:
    threading.Thread(target=each, daemon=True).start()
time.sleep(1)
print("ready", flush=True)
input()
"""


class Target:
    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        return self.process.pid

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def offend(pid):
    """All that must be noticed, done to a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    words = (ctypes.c_long * 256)()
    for request in (0x4206, 4, 5, 13, 15, 0x4205, 0x4203, 7, 0x4207):
        libc.ptrace(request, pid, words, words)
    libc.process_vm_writev(pid, words, 1, words, 1, 0)
    os.kill(pid, signal.SIGCONT)
    libc.tgkill(pid, pid, signal.SIGCONT)
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGCONT)
    os.setpriority(os.PRIO_PROCESS, pid, 1)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        try:
            memory.write(b"x")
        except OSError:
            pass
    for name in ("oom_score_adj", "comm", "clear_refs"):
        os.open(f"/proc/{pid}/{name}", os.O_WRONLY)


NOTICED = {
    "PTRACE_POKETEXT",
    "PTRACE_POKEDATA",
    "PTRACE_SETREGS",
    "PTRACE_SETFPREGS",
    "PTRACE_SETREGSET",
    "PTRACE_SETSIGINFO",
    "PTRACE_CONT",
    "process_vm_writev",
    "a signal by kill",
    "a signal by tgkill",
    "pidfd_send_signal",
    "setpriority",
    "writing: /proc/PID/mem",
    "writing to /proc/PID/mem",
    "writing: /proc/PID/oom_score_adj",
    "writing: /proc/PID/comm",
    "writing: /proc/PID/clear_refs",
}


@unittest.skipUnless(shutil.which("strace"), "strace(1) is not installed")
class NothingIsWritten(unittest.TestCase):
    def setUp(self):
        if program.run("-qq", "-o", os.devnull, "true", by="strace").returncode != 0:
            self.skipTest("strace(1) may not trace here")

    def check(self, *arguments, codes=(0,), output=None):
        done, calls = traced_calls.trace(program.executable(), *arguments)
        self.assertIn(done.returncode, codes, done.stderr)
        names = {name for _, name, _ in calls}
        self.assertIn("exit_group", names)
        self.assertEqual(traced_calls.offences(calls, output), [], arguments)
        return calls

    def test_it_only_reads(self):
        with Target() as pid, tempfile.TemporaryDirectory() as folder:
            output = f"{folder}/dump.json"
            for options in (
                [],
                ["--native", "--locals", "--json"],
                ["--no-stop", "--native", "--locals"],
                ["--samples", "2", "--interval", "100ms"],
                ["--json", "--output", output],
            ):
                calls = self.check("dump", pid, *program.PATIENCE, *options, output=output)
                stopped = any(name == "ptrace" and "PTRACE_INTERRUPT" in words for _, name, words in calls)
                self.assertEqual(stopped, "--no-stop" not in options)
            self.check("graph", pid, *program.PATIENCE)
            self.check("check", pid, *program.PATIENCE, codes=(2,))

    def test_what_is_written_to_a_process_is_noticed(self):
        with Target() as pid:
            code = f"import sys; sys.path[:0] = [{str(HERE)!r}]; import no_write_test; no_write_test.offend({pid})"
            done, calls = traced_calls.trace(sys.executable, "-B", "-c", code)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = {why.replace(str(pid), "PID") for why, _, _ in traced_calls.offences(calls)}
            self.assertEqual(NOTICED - told, set())


if __name__ == "__main__":
    ended = unittest.main(exit=False, verbosity=2).result
    sys.exit(1 if not ended.wasSuccessful() else 77 if ended.skipped else 0)
