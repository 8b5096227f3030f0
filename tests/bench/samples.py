#!/usr/bin/python3
"""What a further sample costs beside the first: samples.py [INTERPRETER…] writes a table.

In each round a run of one sample and a run of many, in turns; a further sample is the difference divided by how many more
there were. Text is printed for each, so that composing and writing are part of both. The first has what a process costs
that begins: the whole of `pythreads dump`.
"""

import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import targets  # noqa: E402

ROUNDS = 7
MORE = 10
THREADS = (1, 100, 1000)


def run(executable, pid, samples, native):
    """(wall, processor) in ms."""
    words = [executable, "dump", str(pid), "--full", "--deadline", "10m", "--pause-budget", "10m"]
    words += ["--native"] * native
    if samples > 1:
        words += ["--samples", str(samples), "--interval", "0s"]
    began = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return wall * 1000, (used.ru_utime + used.ru_stime) * 1000


def measure(executable, pid, native):
    first, further = [], []
    run(executable, pid, 1, native)  # its files come into the page cache
    for _ in range(ROUNDS):
        one = run(executable, pid, 1, native)
        many = run(executable, pid, 1 + MORE, native)
        first.append(one)
        further.append([(after - before) / MORE for before, after in zip(one, many)])
    return [[statistics.median(column) for column in zip(*each)] for each in (first, further)]


def main():
    executable = os.environ["PYTHREADS_EXECUTABLE"]
    names = sys.argv[1:] or ["system-3.11"]
    print("| python | threads | | first: wall, processor | further: wall, processor | further by first |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for interpreter in targets.find(names):
        if "missing" in interpreter:
            print(f"| {interpreter['name']} | | not installed here | | | |")
            continue
        for threads in THREADS:
            with targets.Crowd(interpreter, threads, 20, "blocked") as crowd:
                for native in (False, True):
                    first, further = measure(executable, crowd.pid, native)
                    shares = ", ".join(f"{after / before:.2f}" for before, after in zip(first, further))
                    way = "--native" if native else "plain"
                    costs = [", ".join(f"{each:.1f}" for each in both) for both in (first, further)]
                    print(f"| {interpreter['name']} | {threads:,} | {way} | {costs[0]} | {costs[1]} | {shares} |", flush=True)


main()
