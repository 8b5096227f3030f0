"""A scenario that runs: started, waited for until all its threads rest, ended with the object.

    with ScopedTarget(interpreter, "generators") as target:
        target.truth, target.pid, target.tids

No bare sleeps: a target has told its truth, and /proc says that its threads sleep, before anything looks at it.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
SCENARIOS = TESTS / "scenarios"


class TargetFailed(Exception):
    """The scenario itself did not come up: no verdict on pythreads."""


def scenario_names():
    return sorted(each.stem for each in SCENARIOS.glob("*.py") if each.stem != "scene")


def environment():
    """What a target gets: nothing of ours that changes how Python runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LSAN", "ASAN"))}
    kept.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUTF8="1")
    return kept


def thread_look(pid, tid):
    """(state, system call or None, context switches) of a thread; None if it is gone."""
    folder = f"/proc/{pid}/task/{tid}"
    try:
        with open(f"{folder}/status", encoding="utf-8", errors="replace") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return None
    try:
        with open(f"{folder}/syscall", encoding="ascii") as file:
            syscall = file.read().split()[0]
    except (OSError, IndexError):
        syscall = None
    switches = int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
    return status["State"].split()[0], syscall, switches


def tids_of(pid):
    try:
        return sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return []


def tracer_of(pid, tid):
    with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8", errors="replace") as file:
        return int(next(line for line in file if line.startswith("TracerPid:")).split()[1])


class ScopedTarget:
    def __init__(self, interpreter, scenario, arguments=(), seconds=90):
        self.interpreter = interpreter
        self.scenario = scenario
        self.path = pathlib.Path(scenario) if os.sep in str(scenario) else SCENARIOS / f"{scenario}.py"
        self.arguments = list(arguments)
        self.seconds = seconds
        self.truth = None
        self.process = None
        self._unread = b""

    def __enter__(self):
        self.process = subprocess.Popen(
            [*self.interpreter["command"], str(self.path), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd="/",
        )
        try:
            line = self.read_line(self.seconds)
            self.truth = json.loads(line)
            self.wait_until_parked()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return False

    @property
    def pid(self):
        return self.process.pid

    @property
    def tids(self):
        return tids_of(self.pid)

    def read_line(self, seconds):
        """A line of the target's standard output."""
        deadline = time.monotonic() + seconds
        output = self.process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TargetFailed(f"{self.scenario}: nothing said within {seconds} s")
            chunk = os.read(output, 1 << 16)
            if not chunk:
                os.set_blocking(self.process.stderr.fileno(), False)
                said = (self.process.stderr.read() or b"").decode(errors="replace")
                raise TargetFailed(f"{self.scenario}: ended before it was ready: {said[-2000:]}")
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode("utf-8", "surrogatepass")

    def moving_tids(self):
        return {each["native_id"] for each in self.truth["threads"] if each["moving"]}

    def wait_until_parked(self):
        """Every thread sleeps, and has not run since the look before; one that holds the GIL in C runs."""
        deadline = time.monotonic() + self.seconds
        holder = self.truth.get("gil", {}).get("holder")
        before = None
        while True:
            looks = {tid: thread_look(self.pid, tid) for tid in self.tids}
            rest = {tid: look for tid, look in looks.items() if tid not in self.moving_tids()}
            parked = rest == before and all(look and look[0] == "S" for look in rest.values())
            if parked and holder is not None and not self.truth["free_threaded"]:
                # Computes, and nobody else does.
                parked = looks[holder][0] == "R" and sum(look[0] == "R" for look in looks.values()) == 1
            if parked:
                return
            if time.monotonic() > deadline:
                raise TargetFailed(f"{self.scenario}: did not come to rest: {looks}")
            if self.process.poll() is not None:
                raise TargetFailed(f"{self.scenario}: ended")
            before = rest
            time.sleep(0.02)

    def states(self):
        """{tid: (state letter, tracer's pid)}"""
        return {tid: (thread_look(self.pid, tid)[0], tracer_of(self.pid, tid)) for tid in self.tids}

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + self.seconds
        while {thread_look(self.pid, tid)[0] for tid in self.tids} != {"T"}:
            if time.monotonic() > deadline:
                raise TargetFailed("did not stop")
            time.sleep(0.005)
