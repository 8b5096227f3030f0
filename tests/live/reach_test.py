#!/usr/bin/python3
"""The table of interpreters: on each, in each way of running it, six kinds of facts against the program's own truth.

What comes out stands in docs/interpreters.md. It is an error if that file claims another thing than was measured here;
what is not found here is left as it stands. With PYTHREADS_UPDATE_TABLE in the environment the file is written anew.

Environment:
  PYTHREADS_EXECUTABLE         the program under test
  PYTHREADS_TEST_INTERPRETERS  names separated by commas; all without it
  PYTHREADS_TEST_WAYS          likewise
  PYTHREADS_TEST_ALL           every interpreter in every way, and all of expected.py must be found
  PYTHREADS_REACH_RESULTS      the file of results, one line of JSON for each interpreter and way
"""

import concurrent.futures
import json
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import expected  # noqa: E402
import interpreters  # noqa: E402
import program  # noqa: E402
import reach_check  # noqa: E402
import scoped_target  # noqa: E402
import table  # noqa: E402
import ways  # noqa: E402

# The thread that wants the GIL wakes each 5 ms for some microseconds, and may be met then.
TRIES = 20
TAKEN_AWAY = ("deleted", "replaced")


class Target(scoped_target.ScopedTarget):
    """reach_program.py, run in one way."""

    def __init__(self, interpreter, way, scratch):
        super().__init__(dict(interpreter, command=ways.command(interpreter, way, scratch)), str(HERE / "reach_program.py"))
        self.way = way

    @property
    def pid(self):
        if self.way != "pidns":
            return self.process.pid
        # The process that was started waits for the namespace's first one.
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(pathlib.Path(path).read_text(encoding="ascii").split()[0])

    def inner_ids(self):
        """{thread id inside: thread id outside}"""
        ids = {}
        for tid in self.tids:
            status = pathlib.Path(f"/proc/{self.pid}/task/{tid}/status").read_text(encoding="utf-8", errors="replace")
            line = next(each for each in status.splitlines() if each.startswith("NSpid:"))
            ids[int(line.split()[-1])] = tid
        return ids

    def wait_until_parked(self):
        if self.way == "pidns":
            self.truth = reach_check.remapped(self.truth, self.inner_ids())
        deadline = time.monotonic() + self.seconds
        while self.way in TAKEN_AWAY and not os.readlink(f"/proc/{self.pid}/exe").endswith(" (deleted)"):
            if time.monotonic() > deadline:
                raise scoped_target.TargetFailed("its executable was not taken away")
            time.sleep(0.02)
        self.truth["jit"] = self.way == "jit"
        self.truth["musl"] = self.interpreter["name"].startswith(("musl-", "static-"))
        path = self.interpreter["root"].rstrip("/") + self.interpreter["executable"]
        library = ways.executables.libpython_of(path, self.interpreter["root"])
        self.truth["symbols"] = self.way != "stripped" and ways.has_symbols(library or path)
        self.truth["nameless"] = self.interpreter["name"].startswith("static-")
        super().wait_until_parked()


def dump(target, *options):
    done = program.dump(target.pid, "--json", *options)
    document = json.loads(done.stdout) if done.stdout else None
    if done.returncode != 0 or not document["processes"]:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode(errors='replace')[:600]}")
    return document


def reach(interpreter, way):
    """{cell: problems} of one interpreter in one way."""
    with tempfile.TemporaryDirectory(prefix="pythreads-reach-") as scratch:
        os.chmod(scratch, 0o755)  # a user namespace's root is nobody here
        with Target(interpreter, way, scratch) as target:
            best = None
            for _ in range(TRIES):
                documents = [dump(target), dump(target, "--native"), dump(target, "--locals")]
                cells = reach_check.Cells(target.truth, target.tids, *documents).all()
                # Each cell is right once it was right: it is the thread that comes and goes.
                best = cells if best is None else {name: best[name] and each for name, each in cells.items()}
                if not any(best.values()):
                    break
            return best


def measured(interpreter, way):
    began = time.monotonic()
    try:
        cells = reach(interpreter, way)
    except Exception as error:  # whatever it is, it is this cell's
        cells = {name: [f"{type(error).__name__}: {str(error)[:1000]}"] for name in reach_check.CELLS}
    return {
        "interpreter": expected.kept_name(interpreter["name"]),
        "version": interpreter["version"],
        "debug": interpreter["debug"],
        "free_threaded": interpreter["free_threaded"],
        "way": way,
        "cells": cells,
        "seconds": round(time.monotonic() - began, 1),
    }


def chosen():
    everything = bool(os.environ.get("PYTHREADS_TEST_ALL"))
    wanted = [each for each in os.environ.get("PYTHREADS_TEST_INTERPRETERS", "").split(",") if each]
    wanted_ways = [each for each in os.environ.get("PYTHREADS_TEST_WAYS", "").split(",") if each]
    containers = interpreters.can_make_containers()
    found = interpreters.find_interpreters()
    for each in found:
        if wanted and each["name"] not in wanted:
            continue
        for way in ways.chosen_ways(each, containers, everything or bool(wanted_ways)):
            if not wanted_ways or way in wanted_ways:
                yield each, way


def main():
    entries = []
    path = pathlib.Path(os.environ.get("PYTHREADS_REACH_RESULTS", "build/reach.jsonl"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as kept, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for entry in pool.map(lambda pair: measured(*pair), list(chosen())):
            entries.append(entry)
            kept.write(json.dumps(entry) + "\n")
            kept.flush()
            bad = {name: problems for name, problems in entry["cells"].items() if problems}
            print(f"{entry['interpreter']} {entry['way']}: {'pass' if not bad else 'FAIL'} [{entry['seconds']} s]", flush=True)
            for name, problems in bad.items():
                for each in problems[:4]:
                    print(f"    {name}: {each[:700]}", flush=True)
    wrong = table.differences(entries)
    names = {each["interpreter"] for each in entries}
    if os.environ.get("PYTHREADS_TEST_ALL"):
        wrong += [f"{name} was not found here" for name in expected.EXPECTED if name not in names]
    else:
        missing = [name for name in expected.EXPECTED if name not in names]
        print("not found here:", ", ".join(missing) or "none")
    if os.environ.get("PYTHREADS_UPDATE_TABLE"):
        table.write(entries)
        wrong = []
    for each in wrong:
        print(each)
    sys.exit(1 if wrong or not entries else 0)


if __name__ == "__main__":
    main()
