"""What reading waits and owners adds to the held time of 100 threads, 20 deep, whatever they wait for (lock_cost.cpp)."""

import os
import pathlib

import targets

HERE = pathlib.Path(__file__).resolve().parent
# What the threads of waiting_threads.py wait for: nothing, one lock, a lock that nobody is seen to hold, an event.
WAYS = ("read", "lock", "lost", "event")


def measure(tools, interpreter, rounds):
    found = []
    for way in WAYS:
        script = str(HERE / "waiting_threads.py")
        with targets.scoped_target.ScopedTarget(interpreter, script, [way, "100", "20"]) as target:
            run = tools.run([os.path.join(tools.folder, "lock_cost"), target.pid, rounds])
            without, with_locks, ratio = map(float, run.output.read_text(encoding="ascii").split())
        found.append({"way": way, "rounds": rounds, "without_ms": without, "with_ms": with_locks, "ratio": ratio})
    return found
