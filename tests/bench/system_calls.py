"""How many system calls a dump makes, of which kind, and how many of them while the target is held.

Counted from strace's log: between the first PTRACE_INTERRUPT and the last PTRACE_DETACH the target stands still.
"""

import collections
import os
import re
import shutil
import subprocess
import tempfile

from measured import UNLIMITED, Failed

CALL = re.compile(rb"^\d+ +(\w+)\(")


def count_log(lines):
    """(all, held): two Counters of calls by name."""
    total, held = collections.Counter(), collections.Counter()
    since_detach = None
    for line in lines:
        call = CALL.match(line)
        if call is None:  # "<... resumed>", signals, exits
            continue
        name = call[1].decode()
        total[name] += 1
        if since_detach is None:
            if not line.split(b"(", 1)[1].startswith(b"PTRACE_INTERRUPT"):
                continue
            since_detach = collections.Counter()
        # What comes after a detach counts once another follows.
        since_detach[name] += 1
        if b"(PTRACE_DETACH" in line:
            held += since_detach
            since_detach.clear()
    return total, held


def count(tools, pid, *options):
    """None where there is no strace."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        done = subprocess.run(
            [strace, "-f", "-s", "0", "-o", log, tools.pythreads, "dump", "--json", *UNLIMITED, *options, str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"strace: {done.stderr.decode(errors='replace')[-200:]}")
        with open(log, "rb") as file:
            return count_log(file)


def described(total, held, threads):
    def top(counter):
        return {name: number for name, number in counter.most_common(8)}

    return {
        "threads": threads,
        "calls": sum(total.values()),
        "calls_a_thread": sum(total.values()) / threads,
        "held_calls": sum(held.values()),
        "held_calls_a_thread": sum(held.values()) / threads,
        "by_name": top(total),
        "held_by_name": top(held),
    }
