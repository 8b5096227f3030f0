"""What --no-stop reads of a program that never rests, judged by what the program can be doing.

A frame agrees if its function, its line and its caller are such as the program has, as they are in a stopped dump.
It is garbage if it names a function or a file that the program does not have at all. A frame that says that it could
not be read is neither: an honest answer, but none.
"""

import json
import pathlib
import time

import targets
from measured import Failed

HERE = pathlib.Path(__file__).resolve().parent


class BusyTree(targets.scoped_target.ScopedTarget):
    def __init__(self, interpreter, threads):
        super().__init__(interpreter, str(HERE / "busy_tree.py"), [str(threads)])

    def wait_until_parked(self):
        """It never rests."""


def qualified(frame):
    return frame["qualified_name"] or frame["function"]


def judge(frames, truth):
    """(agree, disagree, garbage, unread) of one thread's Python frames, innermost first.

    Without co_qualname (before 3.11) a method is known by its plain name."""
    short = {name.rsplit(".", 1)[-1]: name for name in truth["lines"]}
    calls = set(map(tuple, truth["calls"]))
    agree = disagree = garbage = unread = 0
    if not frames:  # of a thread that is only just starting
        return 0, 0, 0, 0
    for frame, caller in zip(frames, [*frames[1:], None], strict=True):
        name = qualified(frame)
        if name is None or frame["file"] is None:
            unread += 1
            continue
        if frame["file"] != truth["file"]:
            known = frame["function"] in truth["others"].get(frame["file"], ())
            agree, garbage = agree + known, garbage + (not known)
            continue
        name = name if name in truth["lines"] else short.get(name, name)
        if name not in truth["lines"] and name != "<module>":
            garbage += 1
            continue
        first, last = truth["lines"].get(name, (1, 1 << 30))
        line_is_its = frame["line"] is not None and first <= frame["line"] <= last
        called_by = "Thread.run" if name == "root" else caller and short.get(qualified(caller), qualified(caller))
        call_is_known = name in ("<module>", "root") or (called_by, name) in calls
        if line_is_its and call_is_known:
            agree += 1
        else:
            disagree += 1
    return agree, disagree, garbage, unread


def python_stacks(document):
    return [
        [frame for frame in thread["frames"] if frame["kind"] == "python"]
        for process in document["processes"]
        for thread in process["threads"]
    ]


def stacks(tools, pid):
    dump = tools.dump(pid)
    if dump.gaps:
        raise Failed(f"a stopped dump with a gap: {dump.gaps[0]}")
    return python_stacks(json.loads(dump.run.output.read_bytes()))


def stacks_unstopped(tools, pid):
    # Its gaps are no matter: what it does show is judged.
    run = tools.run([tools.pythreads, "dump", "--json", "--no-stop", "--deadline", "10m", pid])
    return python_stacks(json.loads(run.output.read_bytes()))


def wait_until_many_wander(tools, pid, seconds=300):
    """All are let go at once, but who gets the GIL first is the kernel's choice: some wait for it a minute and longer."""
    deadline = time.monotonic() + seconds
    passed = 0
    while True:
        now = stacks(tools, pid)
        passed = sum(any(each["function"] == "branch" for each in frames) for frames in now)
        if passed > len(now) / 4:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{passed} of {len(now)} threads came to compute within {seconds} s")
        time.sleep(0.5)


def counted(looks, truth):
    totals = [0, 0, 0, 0]
    for look in looks:
        for frames in look:
            totals = [sum(each) for each in zip(totals, judge(frames, truth), strict=True)]
    found = dict(zip(("agree", "disagree", "garbage", "unread"), totals, strict=True))
    found["frames"] = sum(totals)
    found["agree_percent"] = 100 * found["agree"] / sum(totals) if sum(totals) else 0.0
    return found


def measure(tools, interpreter, looks, threads=200):
    stopped, unstopped = [], []
    with BusyTree(interpreter, threads) as target:
        truth = target.truth
        wait_until_many_wander(tools, target.pid)
        for _ in range(looks):
            stopped.append(stacks(tools, target.pid))
            unstopped.append(stacks_unstopped(tools, target.pid))
    return {
        "interpreter": interpreter["name"],
        "threads": threads,
        "looks": looks,
        "stopped": counted(stopped, truth),
        "unstopped": counted(unstopped, truth),
    }

