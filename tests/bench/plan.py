"""What is measured: which sizes, how deep, on which interpreters, in how many rounds; and what is left out, with why."""

import dataclasses

from cells import Cell

VERSIONS = ("3.8", "3.11", "3.14", "3.13t")
SIZES = (1, 10, 100, 1000, 10000)
DEPTHS = (5, 20, 200)
RIVAL_DEPTH = 20
MOST_BUSY = 1000
MOST_BUSY_FREE = 10


@dataclasses.dataclass(frozen=True)
class Planned:
    cell: Cell
    rounds: int
    rivals: bool


def why_not(cell, free_threaded, limit):
    """None where a cell can be measured."""
    if cell.threads + 200 > limit:
        return f"this machine's limits allow {limit} threads"
    if cell.way == "busy" and free_threaded and cell.threads > MOST_BUSY_FREE:
        return "without a GIL so many computing threads leave no processor time to measure with"
    if cell.way == "busy" and cell.threads > MOST_BUSY:
        return "so many threads that queue for the GIL wake up 200 times a second each: they are all that is measured"
    return None


def plan(interpreters, limit, sizes=SIZES, depths=DEPTHS, ways=("blocked", "busy"), rounds=7):
    """(what is measured, [(cell, why not)])"""
    planned, left_out = [], []
    for interpreter in interpreters:
        for way in ways:
            for threads in sizes:
                for depth in depths:
                    if way == "busy" and depth == RIVAL_DEPTH and len(depths) > 1:
                        continue  # 5 and 200 show what depth does
                    cell = Cell(interpreter["name"], threads, depth, way)
                    if interpreter.get("missing"):
                        left_out.append((cell, "this interpreter is not here (tests/interpreters/fetch.py)"))
                        continue
                    reason = why_not(cell, interpreter["free_threaded"], limit)
                    if reason:
                        left_out.append((cell, reason))
                        continue
                    rivals = way == "blocked" and (depth == RIVAL_DEPTH or len(depths) == 1)
                    planned.append(Planned(cell, rounds, rivals))
    return planned, left_out
