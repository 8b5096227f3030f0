#!/usr/bin/python3
"""Many looks at busy healthy programs, none of which may be called a deadlock, and at dead ones, each of which must be.

    truth.py --pythreads build/release/pythreads [--looks 100000] [--interpreters NAME,…|all] [--programs KIND,…]

Half of the looks stop the program and half don't (--no-stop). A look is one whole reading: stop, read, release, judge;
one pythreads makes a hundred of them of a program (--samples 100 --interval 0s). Before and after, each of the program's
workers must have gone on.

The soak is void unless it saw what it is about: a blocked thread in half of the looks, an owner with a name in a quarter,
and a hand-over in progress (somebody waits for what nobody holds) in one of a hundred. The counts are printed.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import healthy  # noqa: E402
import interpreters  # noqa: E402
import scoped_target  # noqa: E402

BATCH = 100
PATIENCE = 120
WAYS = [[], ["--no-stop"]]
# Without a stop a link is likely at most, and a free-threaded waiter's lock is not known, for it stands on its stack.
DEAD = [{"deadlock"}, {"deadlock", "possible-deadlock", "unknown"}]
# A cycle that a time limit will break is one (the contract's possible-deadlock), and only this program makes any.
TIMED_CYCLES = {"back_off"}


class Untrue(Exception):
    """What a soak must not see."""


class Program(scoped_target.ScopedTarget):
    def __init__(self, interpreter, kind):
        super().__init__(interpreter, str(HERE / "healthy.py"), [kind])
        self.kind = kind

    def wait_until_parked(self):
        """It never rests."""

    def counters(self):
        os.write(self.process.stdin.fileno(), b"count\n")
        return json.loads(self.read_line(PATIENCE))

    def must_go_on(self, before):
        deadline = time.monotonic() + PATIENCE
        while True:
            now = self.counters()
            still = [number for number, count in enumerate(before) if now[number] <= count]
            if not still:
                return
            if time.monotonic() > deadline:
                raise Untrue(f"{self.kind}: workers {still} have stalled: {now}")
            time.sleep(0.01)


def looks_at(pythreads, pid, count, way):
    """(process, findings) of each of so many looks."""
    done = subprocess.run(
        [pythreads, "dump", str(pid), "--format", "ndjson", "--pause-budget", "60s", "--deadline", "10m",
         "--samples", str(count), "--interval", "0s", *way],
        capture_output=True,
        timeout=600 + 10 * count,
        check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    if done.returncode != 0:
        raise Untrue(f"exit {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    looks = [(each["process"], found["findings"]) for each, found in zip(lines[::2], lines[1::2])]
    if len(looks) != count:
        raise Untrue(f"{len(looks)} looks of {count}")
    return looks


def count(kind, looks, seen):
    """Adds up what the looks at a healthy program show."""
    for process, findings in looks:
        verdict = findings["verdict"]
        locks = [each for each in process["resources"] if each["kind"] != "GIL"]
        seen[verdict] += 1
        seen["looks"] += 1
        seen["with a blocked thread"] += any(each["status"] == "blocked" for each in process["threads"])
        seen["with an owner"] += any(each["owner"] and each["waiters"] for each in locks)
        # Somebody waits, and the lock itself says that nobody has it: it was given back, and is not taken yet.
        seen["with a hand-over"] += any(each["waiters"] and each["locked"] is False for each in locks)
        if verdict == "deadlock" or verdict == "possible-deadlock" and kind not in TIMED_CYCLES:
            raise Untrue(f"{kind}, which is healthy: {json.dumps(findings)}\n{json.dumps(process)}")


def healthy_looks(pythreads, interpreter, kind, number, seen):
    with Program(interpreter, kind) as target:
        left, way = number, 0
        before = target.counters()
        while left > 0:
            batch = min(left, BATCH, max(1, number // 2))
            count(kind, looks_at(pythreads, target.pid, batch, WAYS[way % 2]), seen)
            left, way = left - batch, way + 1
            target.must_go_on(before)
            before = target.counters()


def dead_looks(pythreads, interpreter, kind, number, seen):
    with Program(interpreter, kind) as target:
        deadline = time.monotonic() + PATIENCE
        while looks_at(pythreads, target.pid, 1, [])[0][1]["verdict"] != "deadlock":
            if time.monotonic() > deadline:
                raise Untrue(f"{kind} is never called a deadlock")
        for way, right in zip(WAYS, DEAD):
            for process, findings in looks_at(pythreads, target.pid, max(2, number // 2), way):
                seen[f"dead: {findings['verdict']}"] += 1
                if findings["verdict"] not in right:
                    raise Untrue(f"{kind} {way}, which is dead: {json.dumps(findings)}\n{json.dumps(process)}")


def soak(pythreads, chosen, number, kinds=None, out=sys.stdout):
    """Raises Untrue, or returns the counts of so many looks over all interpreters and programs."""
    alive = [each.__name__ for each in healthy.HEALTHY if not kinds or each.__name__ in kinds]
    dead = [each.__name__ for each in healthy.DEAD if not kinds or each.__name__ in kinds]
    each_number = -(-number // max(1, len(chosen) * len(alive)))
    total = collections.Counter()
    for interpreter in chosen:
        seen = collections.Counter()
        for kind in alive:
            try:
                healthy_looks(pythreads, interpreter, kind, each_number, seen)
            except Untrue as fault:
                raise Untrue(f"{interpreter['name']}: {fault}") from None
        for kind in dead:
            try:
                dead_looks(pythreads, interpreter, kind, max(4, each_number // 10), seen)
            except Untrue as fault:
                raise Untrue(f"{interpreter['name']}: {fault}") from None
        print(f"{interpreter['name']:16} {dict(seen)}", file=out, flush=True)
        total += seen
    print(f"{'all':16} {dict(total)}", file=out, flush=True)
    looks = total["looks"]
    handed = looks / 100 if looks >= 10_000 else looks / 400  # of few looks, as few as chance leaves for certain
    for what, least in (("with a blocked thread", looks / 2), ("with an owner", looks / 4), ("with a hand-over", handed)):
        if alive and not kinds and total[what] < least:
            raise Untrue(f"void: {total[what]} looks {what}, at least {least:.0f} are needed")
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythreads", required=True)
    parser.add_argument("--looks", type=int, default=100_000)
    parser.add_argument("--interpreters", default="all")
    parser.add_argument("--programs", default="")
    arguments = parser.parse_args()
    names = arguments.interpreters.split(",")
    chosen = [
        each
        for each in interpreters.for_scenarios(interpreters.find_interpreters())
        if arguments.interpreters == "all" or each["name"] in names
    ]
    if not chosen:
        sys.exit("no such interpreter here")
    began = time.monotonic()
    try:
        soak(os.path.abspath(arguments.pythreads), chosen, arguments.looks, set(filter(None, arguments.programs.split(","))))
    except Untrue as fault:
        sys.exit(str(fault))
    print(f"{time.monotonic() - began:.0f} s, not one false verdict")


if __name__ == "__main__":
    main()
