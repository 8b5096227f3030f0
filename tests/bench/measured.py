"""One run of a program and what it cost; one dump and what it says of itself.

    Tools(build, pythreads).run(command)      -> Run
    Tools(...).bare(pid) / .dump(pid, …)      -> Bare / Dump
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import tempfile

# No limit of the program's own is to end a measured look early.
UNLIMITED = ("--pause-budget", "10m", "--deadline", "10m")
SMALL_JSON = 32 << 20  # is parsed whole, not only scanned


class Failed(Exception):
    """A run that gave no figure; the message says why."""


class Late(Failed):
    """It took longer than it was given."""


@dataclasses.dataclass
class Run:
    wall_ms: float
    cpu_ms: float
    peak_kib: int
    exit_code: int
    output: pathlib.Path


@dataclasses.dataclass
class Bare:
    held_ms: float
    threads: int
    stack_bytes: int  # in use


@dataclasses.dataclass
class Dump:
    run: Run
    held_ms: float
    threads: int
    gaps: list
    frames: int


def scan_dump(text):
    """(held_ms, threads, gaps, frames) from the JSON's own lines: a dump of 10,000 threads is too long to be parsed.

    What looks like these lines inside of a string has a backslash before each quote."""
    held = re.search(rb'^  "pause_ms": ([0-9.]+|null)', text[: 1 << 16], re.M)
    if held is None or held[1] == b"null":
        raise Failed("the dump has no pause_ms")
    kinds = {kind: text.count(b'\n      {"kind": "%s"' % kind) for kind in (b"python", b"native", b"gap")}
    gaps = ["a gap in a stack"] * kinds[b"gap"]
    for name in (b"gaps", b"errors"):
        filled = text.count(b'"%s": [' % name) - text.count(b'"%s": []' % name)
        gaps += [f"{name.decode()} are told"] * filled
    return float(held[1]), text.count(b'\n     "namespace_tid": '), gaps, sum(kinds.values())


def parse_dump(text):
    """The same of the parsed object."""
    document = json.loads(text)
    threads = [thread for process in document["processes"] for thread in process["threads"]]
    frames = [frame for thread in threads for frame in thread["frames"]]
    gaps = [f"{gap['where']}: {gap['reason']}" for process in document["processes"] for gap in process["gaps"]]
    gaps += [f"{thread['tid']}: {gap}" for thread in threads for gap in thread.get("gaps") or []]
    gaps += [frame["reason"] for frame in frames if frame["kind"] == "gap"]
    gaps += [error["message"] for error in document["errors"]]
    return document["source"]["pause_ms"], len(threads), gaps, len(frames)


class Tools:
    def __init__(self, build, pythreads):
        self.pythreads = os.path.abspath(pythreads)
        self.folder = os.path.join(os.path.abspath(build), "tests", "bench")
        self._scratch = tempfile.TemporaryDirectory(prefix="pythreads-bench-")
        self.output = pathlib.Path(self._scratch.name, "output")

    def close(self):
        self._scratch.cleanup()

    def run(self, command, seconds=600, expected=(0,)):
        done = subprocess.run(
            [os.path.join(self.folder, "timed_run"), str(int(seconds)), str(self.output), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
        words = done.stdout.split()
        what = os.path.basename(command[0])
        if done.returncode != 0 or len(words) != 4:
            raise Failed(f"{what}: could not be measured ({done.returncode})")
        if words[3] == b"late":
            raise Late(f"{what}: more than {seconds:.0f} s")
        run = Run(float(words[0]), float(words[1]), int(words[2]), int(words[3]), self.output)
        if run.exit_code not in expected:
            # The first line says what, those below it where.
            said = (done.stderr.strip() or self.output.read_bytes()[:300].strip()).decode(errors="replace")
            raise Failed(f"{what}: exit {run.exit_code}: {said.splitlines()[0][:160] if said else 'nothing said'}")
        return run

    def bare(self, pid):
        run = self.run([os.path.join(self.folder, "bare_stop"), pid])
        held, threads, _, stack_bytes = run.output.read_text(encoding="ascii").split()
        return Bare(float(held), int(threads), int(stack_bytes))

    def dump(self, pid, *options):
        """A JSON dump."""
        run = self.run([self.pythreads, "dump", "--json", *UNLIMITED, *options, pid])
        text = run.output.read_bytes()
        held, threads, gaps, frames = scan_dump(text)
        if len(text) < SMALL_JSON:
            parsed = parse_dump(text)
            if (held, threads, len(gaps) > 0, frames) != (parsed[0], parsed[1], len(parsed[2]) > 0, parsed[3]):
                raise Failed(f"the dump's lines say {held, threads, gaps, frames}, its objects {parsed}")
            gaps = parsed[2]
        return Dump(run, held, threads, gaps, frames)

    def text_dump(self, pid, *options):
        return self.run([self.pythreads, "dump", *UNLIMITED, *options, pid])
