"""busy.py as it runs, asked for its counters and its verdict."""

import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import scoped_target  # noqa: E402


def system_python():
    return interpreters.system_interpreter()[0]


class BusyTarget(scoped_target.ScopedTarget):
    def __init__(self, interpreter):
        super().__init__(interpreter, str(HERE / "busy.py"))

    def wait_until_parked(self):
        """It never rests."""

    def counters(self):
        os.write(self.process.stdin.fileno(), b"count\n")
        return json.loads(self.read_line(60))

    def verdict(self):
        os.write(self.process.stdin.fileno(), b"end\n")
        said = json.loads(self.read_line(120))
        self.process.wait(60)
        return said

    def advances(self, seconds=60):
        """None if every counter has grown, else those that stand still."""
        before = self.counters()["counters"]
        deadline = time.monotonic() + seconds
        while True:
            now = self.counters()["counters"]
            still = [name for name, count in before.items() if now[name] <= count]
            if not still:
                return None
            if time.monotonic() > deadline:
                return still
            time.sleep(0.02)

    def left_behind(self, seconds=10):
        """Threads that stay stopped or traced; a thread may end while it is looked at."""
        deadline = time.monotonic() + seconds
        while True:
            held = []
            for tid in self.tids:
                try:
                    state, tracer = scoped_target.thread_look(self.pid, tid)[0], scoped_target.tracer_of(self.pid, tid)
                except (OSError, TypeError, StopIteration):
                    continue
                if state in "tT" or tracer != 0:
                    held.append((tid, state, tracer))
            if not held or time.monotonic() > deadline:
                return held
            time.sleep(0.002)
