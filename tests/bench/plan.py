"""What is measured: which sizes, how deep, on which interpreters, in how many rounds; and what is left out, with why."""

import dataclasses

from cells import Cell

VERSIONS = ("3.8", "3.11", "3.14", "3.13t")
SIZES = (1, 10, 100, 1000, 10000)
DEPTHS = (5, 20, 200)
WAYS = ("blocked", "busy")
RIVAL_DEPTH = 20
# Beyond the first interpreter only the rival that a promise names, and not at every size.
RIVAL_SIZES = (100, 1000)
PROMISED_RIVAL = "py-spy"
NOT_ASKED = "this run was not asked for it"
MANY = 10000
MOST_BUSY = 1000
MOST_BUSY_FREE = 100
# Small ones are over in some ms, and what disturbs them is as long: more rounds, which cost little.
SMALL = 100
SMALL_TIMES = 3
# What is only reported, and not promised, is not measured for longer than this.
REPORTED_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Planned:
    cell: Cell
    rounds: int
    rivals: str  # all, promised or none
    seconds: float | None  # None: as long as it takes


def why_not(cell, interpreter, first, limit):
    """None where a cell can be measured."""
    if interpreter.get("missing"):
        return "this interpreter is not here (tests/interpreters/fetch.py)"
    if cell.threads + 200 > limit:
        return f"this machine's limits allow {limit} threads"
    if cell.way == "busy" and interpreter["free_threaded"] and cell.threads > MOST_BUSY_FREE:
        return "without a GIL so many computing threads leave no processor time to measure with"
    if cell.way == "busy" and cell.threads > MOST_BUSY:
        return "so many threads that queue for the GIL wake up 200 times a second each: they are all that is measured"
    if cell.threads >= MANY and cell.depth > 5 and interpreter["name"] != first["name"]:
        return f"deeper than 5 so many threads are measured on {first['name']} alone, for the time it takes"
    return None


def plan(interpreters, first, limit, sizes=SIZES, depths=DEPTHS, ways=WAYS, rounds=7, few=False):
    """(what is measured, [(what is not, why)]); `first` is the interpreter on which most is measured;
    `few`: no more than `rounds` for small ones either."""
    planned, left_out = [], []
    for interpreter in interpreters:
        for way in ways:
            for threads in sizes:
                for depth in depths:
                    if way == "busy" and depth == RIVAL_DEPTH and len(depths) > 1:
                        continue  # 5 and 200 show what depth does
                    cell = Cell(interpreter["name"], threads, depth, way)
                    reason = why_not(cell, interpreter, first, limit)
                    if reason:
                        left_out.append((cell.title, reason))
                        continue
                    rivals = "none"
                    if way == "blocked" and (depth == RIVAL_DEPTH or len(depths) == 1):
                        if interpreter["name"] == first["name"]:
                            rivals = "all"
                        elif threads in RIVAL_SIZES:
                            rivals = "promised"
                    promised = way == "blocked" and depth <= RIVAL_DEPTH
                    times = SMALL_TIMES if threads <= SMALL and not few else 1
                    planned.append(Planned(cell, rounds * times, rivals, None if promised else REPORTED_SECONDS))
    for what, asked, known in (("threads", sizes, SIZES), ("frames deep", depths, DEPTHS), ("", ways, WAYS)):
        left_out += [(f"{each} {what}".strip(), NOT_ASKED) for each in known if each not in asked]
    planned.sort(key=lambda each: each.cell.threads)  # stable: what takes long comes last
    return planned, left_out
