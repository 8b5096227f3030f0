#!/usr/bin/python3
"""Fuzzes each parser for as long as it is told, coverage-guided, one after another, and says what it took.

    run.py --build build/fuzz [--seconds 60] [DRIVER…]

What a driver has learned is kept in BUILD/corpus and goes on from there the next time. An input that breaks something
stays in BUILD/broken: it becomes a file of tests/fuzz/corpus, and then the fault is mended.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# One input may take a minute and 512 MiB at once, under sanitizers; the process 2 GiB.
BOUNDS = ["-timeout=60", "-report_slow_units=60", "-malloc_limit_mb=512", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1"]


def fuzz(driver, build, seconds):
    """(processor seconds, inputs, edges, broken files)"""
    name = driver.name.removeprefix("fuzz_")
    learned, broken = build / "corpus" / name, build / "broken" / name
    for folder in (learned, broken):
        folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [driver, *BOUNDS, f"-max_total_time={seconds}", f"-artifact_prefix={broken}/", learned, HERE / "corpus" / name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        print(said[-4000:])
    runs = re.search(r"stat::number_of_executed_units: (\d+)", said)
    edges = re.findall(r" cov: (\d+)", said)
    return (
        used.ru_utime + used.ru_stime,
        int(runs.group(1)) if runs else 0,
        int(edges[-1]) if edges else 0,
        sorted(each.name for each in broken.iterdir()),
        process.returncode,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=60, help="of each driver")
    parser.add_argument("drivers", nargs="*")
    arguments = parser.parse_args()
    drivers = sorted(each for each in (arguments.build / "tests" / "fuzz").glob("fuzz_*") if os.access(each, os.X_OK))
    if arguments.drivers:
        drivers = [each for each in drivers if each.name.removeprefix("fuzz_") in arguments.drivers]
    if not drivers:
        sys.exit("no such driver is built")
    failed, all_seconds = 0, 0.0
    print(f"{'driver':16} {'CPU s':>8} {'inputs':>12} {'edges':>7} broken")
    for driver in drivers:
        seconds, runs, edges, broken, status = fuzz(driver, arguments.build, arguments.seconds)
        all_seconds += seconds
        failed += status != 0 or bool(broken)
        print(f"{driver.name.removeprefix('fuzz_'):16} {seconds:8.0f} {runs:12} {edges:7} {' '.join(broken) or '-'}", flush=True)
    print(f"{all_seconds / 3600:.2f} CPU-hours, {failed} drivers with something broken")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
