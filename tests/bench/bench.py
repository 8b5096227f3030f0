#!/usr/bin/python3
"""How long pythreads holds a target, against the least that is possible.

    bench.py --pythreads build/release/pythreads --build build/release [--check]

The held time (`pause_ms`: first PTRACE_INTERRUPT to last PTRACE_DETACH) is compared with bare_stop's, the runs of
both interleaved, so that what disturbs the machine disturbs both. Medians. The whole run is measured from fork to
exit, its memory by wait4(2).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "interpreters")]
import interpreters  # noqa: E402
import scoped_target  # noqa: E402

# What the project promises for 100 threads, 20 deep.
MAX_RATIO = 3.0
MAX_WHOLE_MS = 60.0
MAX_MEMORY_MIB = 40.0


def timed(command):
    """(whole milliseconds, memory in MiB, standard output)"""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        whole = (time.monotonic() - began) * 1000
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        output.seek(0)
        return whole, usage.ru_maxrss / 1024, output.read().decode()


def measure(target, executable, bare_stop, rounds, options):
    bare, held, whole, memory, text = [], [], [], [], []
    first = timed([executable, "dump", "--json", *options, str(target.pid)])[0]
    for _ in range(rounds):
        bare.append(float(timed([bare_stop, str(target.pid)])[2].split()[0]))
        milliseconds, mib, output = timed([executable, "dump", "--json", *options, str(target.pid)])
        held.append(json.loads(output)["source"]["pause_ms"])
        whole.append(milliseconds)
        memory.append(mib)
        text.append(timed([executable, "dump", *options, str(target.pid)])[0])
    return {
        "bare": statistics.median(bare),
        "held": statistics.median(held),
        "held_worst": max(held),
        "first": first,
        "whole": statistics.median(whole),
        "whole_text": statistics.median(text),
        "memory": max(memory),
    }


# What the threads of waiting_threads.py wait for: nothing, one lock, a lock that nobody is seen to hold, an event.
WAYS = ("read", "lock", "lost", "event")


def measure_locks(interpreter, lock_cost, rounds):
    """What reading waits and owners adds to the held time of 100 threads, 20 deep, whatever they wait for."""
    script = str(TESTS / "bench" / "waiting_threads.py")
    for way in WAYS:
        with scoped_target.ScopedTarget(interpreter, script, [way, "100", "20"]) as target:
            without, with_locks, ratio = timed([lock_cost, str(target.pid), str(rounds)])[2].split()
        print(f"{interpreter['name']:16} {way:7} {float(without):7.2f} {float(with_locks):7.2f} {float(ratio):6.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythreads", required=True)
    parser.add_argument("--build", required=True, help="the build's folder: it holds tests/bench/bare_stop")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--interpreter", action="append", help="names of interpreters.py; the system's without it")
    parser.add_argument("--check", action="store_true", help="exit 1 if a promise is not kept")
    arguments = parser.parse_args()
    wanted = arguments.interpreter
    bare_stop = os.path.join(arguments.build, "tests", "bench", "bare_stop")
    found = [
        each
        for each in interpreters.find_interpreters()
        if (each["name"] in wanted if wanted else each["name"].startswith("system-"))
    ]
    broken = []
    print("milliseconds, medians of", arguments.rounds, "rounds; memory: the most, MiB")
    print(
        f"{'interpreter':16} {'threads':>7} {'options':9} {'bare':>7} {'held':>7} {'worst':>7} {'ratio':>6}"
        f" {'first':>7} {'json':>7} {'text':>7} {'memory':>7}"
    )
    for interpreter in found:
        for threads in (100, 1000):
            deep = str(TESTS / "bench" / "deep_threads.py")
            with scoped_target.ScopedTarget(interpreter, deep, [str(threads), "20"]) as target:
                for options in ([], ["--native"]):
                    got = measure(target, arguments.pythreads, bare_stop, arguments.rounds, options)
                    ratio = got["held"] / got["bare"]
                    print(
                        f"{interpreter['name']:16} {threads:7} {' '.join(options) or '-':9} {got['bare']:7.2f}"
                        f" {got['held']:7.2f} {got['held_worst']:7.2f} {ratio:6.2f} {got['first']:7.1f}"
                        f" {got['whole']:7.1f} {got['whole_text']:7.1f} {got['memory']:7.1f}",
                        flush=True,
                    )
                    if threads == 100 and options:
                        promises = [
                            ("held", ratio, MAX_RATIO),
                            ("whole run", got["whole"], MAX_WHOLE_MS),
                            ("memory", got["memory"], MAX_MEMORY_MIB),
                        ]
                        broken += [
                            f"{interpreter['name']}: {what} {value:.2f}, promised {most}"
                            for what, value, most in promises
                            if value > most
                        ]
    print(f"\n{'interpreter':16} {'waits':7} {'without':>7} {'locks':>7} {'ratio':>6}   held, milliseconds")
    for interpreter in found:
        measure_locks(interpreter, os.path.join(arguments.build, "tests", "bench", "lock_cost"), arguments.rounds)
    for each in broken:
        print("not kept:", each)
    return 1 if broken and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
