"""A cell of the table: one target of one size, looked at in turns by all that can look at it.

In every round each contender has its turn, so that what disturbs the machine disturbs all of them alike; a figure is
the median over the rounds, a ratio that of two medians of the same rounds.
"""

import dataclasses
import statistics
import time

import measured
import targets

# A rival whose one run takes longer than this is not run again and again: (seconds, rounds).
PATIENCE = ((60, 1), (15, 3), (0, 7))
RIVAL_SECONDS = 180


@dataclasses.dataclass(frozen=True)
class Cell:
    interpreter: str
    threads: int
    depth: int
    way: str  # blocked or busy

    @property
    def title(self):
        return f"{self.interpreter}, {self.threads} threads {self.depth} deep, {self.way}"


def median(values):
    return statistics.median(values) if values else None


class Turns:
    """Figures by name, one each round; and what was said when there was none."""

    def __init__(self):
        self.figures = {}
        self.notes = {}

    def add(self, name, value):
        self.figures.setdefault(name, []).append(value)

    def note(self, name, text):
        self.notes.setdefault(name, str(text))

    def median(self, name):
        return median(self.figures.get(name))

    def rounds(self, name):
        return len(self.figures.get(name, []))


def one_round(tools, target, turns):
    """Ours and the bare program's turn."""
    pid = target.pid
    bare = tools.bare(pid)
    native = tools.dump(pid, "--native")
    for what, threads in (("bare", bare.threads), ("dump", native.threads)):
        if threads != target.threads:
            raise measured.Failed(f"{what}: {threads} threads, not {target.threads}")
    if native.gaps:
        turns.note("void", f"a gap: {native.gaps[0]}")
        turns.add("void", 1)
        return
    turns.add("bare_held_ms", bare.held_ms)
    turns.add("held_ms", native.held_ms)
    turns.add("json_wall_ms", native.run.wall_ms)
    turns.add("peak_kib", native.run.peak_kib)
    turns.add("stack_bytes", bare.stack_bytes)
    turns.add("frames", native.frames)
    for name, options in (("native", ["--native"]), ("plain", [])):
        run = tools.text_dump(pid, *options)
        turns.add(f"{name}_wall_ms", run.wall_ms)
        turns.add(f"{name}_cpu_ms", run.cpu_ms)
        turns.add(f"{name}_peak_kib", run.peak_kib)


def rival_turn(tools, target, rival, turns, allowed):
    name = rival.title
    if turns.rounds(name) >= allowed.get(name, 1 << 30):
        return
    try:
        run = tools.run(rival.command(target.pid), RIVAL_SECONDS)
    except measured.Failed as failure:
        turns.note(name, failure)
        allowed[name] = 0
        return
    if run.output.stat().st_size == 0:
        turns.note(name, "it printed nothing")
        allowed[name] = 0
        return
    turns.add(name, run.wall_ms)
    turns.add(name + " peak_kib", run.peak_kib)
    for seconds, rounds in PATIENCE:
        if run.wall_ms > seconds * 1000:
            allowed[name] = rounds
            break


def felt_rounds(tools, interpreter, cell, rounds, deadline, turns):
    """The longest time between two beats of a thread of the target, during a dump and during the bare stop."""
    with targets.Crowd(interpreter, cell.threads, cell.depth, "beating") as target:
        for done in range(rounds):
            if done and time.monotonic() > deadline:
                return
            for name, look in (
                ("felt_ms", lambda: tools.dump(target.pid, "--native").held_ms),
                ("bare_felt_ms", lambda: tools.bare(target.pid).held_ms),
                ("calm_ms", lambda: time.sleep(0.2)),
            ):
                target.longest_gap()
                held = look()
                turns.add(name, target.longest_gap())
                if name == "felt_ms":
                    turns.add("felt_held_ms", held)


def measure(tools, interpreter, cell, rounds, rivals=(), seconds=None):
    """A plain object of the cell's figures; `notes` says why there are none. After `seconds` no new round begins."""
    turns = Turns()
    allowed = {}
    deadline = time.monotonic() + (seconds or 1e9)
    try:
        with targets.Crowd(interpreter, cell.threads, cell.depth, cell.way) as target:
            tools.dump(target.pid, "--native")  # files come into the page cache
            while turns.rounds("held_ms") < rounds and turns.rounds("void") < rounds:
                if turns.rounds("held_ms") and time.monotonic() > deadline:
                    break
                one_round(tools, target, turns)
                for rival in rivals:
                    rival_turn(tools, target, rival, turns, allowed)
        if cell.way == "blocked":
            felt_rounds(tools, interpreter, cell, rounds, deadline, turns)
    except (targets.TargetFailed, measured.Failed, OSError) as failure:
        turns.note("cell", failure)
    return result(cell, turns, rivals)


def result(cell, turns, rivals):
    found = dataclasses.asdict(cell)
    found["rounds"] = turns.rounds("held_ms")
    found["void_rounds"] = turns.rounds("void")
    for name in (
        *("bare_held_ms", "held_ms", "json_wall_ms", "stack_bytes", "frames"),
        *("native_wall_ms", "native_cpu_ms", "plain_wall_ms", "plain_cpu_ms"),
        *("felt_ms", "bare_felt_ms", "calm_ms", "felt_held_ms"),
    ):
        found[name] = turns.median(name)
    for name in ("peak_kib", "native_peak_kib", "plain_peak_kib"):
        found[name] = max(turns.figures.get(name, [0])) or None
    found["held_worst_ms"] = max(turns.figures.get("held_ms", [0])) or None
    found["held_ratio"] = found["held_ms"] / found["bare_held_ms"] if found["rounds"] else None
    found["rivals"] = [
        {
            "name": rival.name,
            "native": rival.native,
            "wall_ms": turns.median(rival.title),
            "rounds": turns.rounds(rival.title),
            "peak_kib": turns.median(rival.title + " peak_kib"),
            "note": turns.notes.get(rival.title),
        }
        for rival in rivals
    ]
    found["notes"] = {name: text for name, text in turns.notes.items() if name in ("cell", "void")}
    return found
