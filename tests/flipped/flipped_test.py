#!/usr/bin/python3
"""Looks at recorded targets whose bytes are flipped at random (flipped_target.cpp): no crash, no hang, bounded memory and time.

    flipped_test.py FLIPPED_TARGET [RUNS]

Without RUNS some hundred looks at each of a few programs; with PYTHREADS_TEST_ALL a hundred thousand in all, over all
interpreters. What was looked at is printed.
"""

import json
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import scoped_target  # noqa: E402

PROGRAMS = ["rlock_deadlock", "local_variables", "generators", "exceptions", "locks/conditions", "locks/managers", "names"]


class Program(scoped_target.ScopedTarget):
    def __init__(self, interpreter, name):
        super().__init__(interpreter, str(scoped_target.SCENARIOS / f"{name}.py"))

    def wait_until_parked(self):
        """Whatever it does at the moment is looked at."""


def flip(flipped, interpreter, name, runs, first):
    with Program(interpreter, name) as target:
        done = subprocess.run([flipped, str(target.pid), str(runs), str(first)], capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{interpreter['name']} {name}: exit {done.returncode}\n{done.stderr.decode(errors='replace')[-6000:]}")
    said = json.loads(done.stdout)
    print(f"{interpreter['name']:16} {name:18} {said}", flush=True)
    return said


def main():
    flipped = sys.argv[1]
    found = interpreters.for_scenarios(interpreters.find_interpreters())
    everything = bool(os.environ.get("PYTHREADS_TEST_ALL")) or len(sys.argv) > 2
    chosen = found if everything else interpreters.system_interpreter()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000 if everything else 350
    each = -(-runs // (len(chosen) * len(PROGRAMS)))
    total, first = {"runs": 0, "flips": 0, "frames": 0, "gaps": 0}, 1
    for interpreter in chosen:
        for name in PROGRAMS:
            said = flip(flipped, interpreter, name, each, first)
            first += each
            for key in total:
                total[key] += said[key]
    print(total)
    # What lied to nobody, or was not read at all, shows nothing.
    if total["flips"] < total["runs"] or total["frames"] < total["runs"]:
        sys.exit("void: too little was flipped, or read")


if __name__ == "__main__":
    main()
