"""What the project promises of its costs, and whether a run of the benchmark kept it."""

import dataclasses

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Promise:
    what: str  # the same for all cells it is made for
    where: str
    value: float
    most: float

    @property
    def kept(self):
        return self.value <= self.most


def most_memory(cell):
    """30 MiB + 24 KiB a thread + the stack bytes in use + 300 bytes for each frame past a thread's hundredth."""
    deeper = max(0, cell["frames"] - 100 * cell["threads"])
    return 30 * MIB + 24 * 1024 * cell["threads"] + cell["stack_bytes"] + 300 * deeper


def title(cell):
    return f"{cell['interpreter']}, {cell['threads']} threads {cell['depth']} deep, {cell['way']}"


def of_cell(cell):
    where = title(cell)
    if cell["depth"] <= 20 and cell["way"] == "blocked":
        most, size = (1.6, "100 threads and more") if cell["threads"] >= 100 else (3.0, "1 and 10 threads")
        yield Promise(f"held time, times the bare stop's: {size}", where, cell["held_ratio"], most)
    yield Promise("peak memory, MiB", where, cell["peak_kib"] / 1024, most_memory(cell) / MIB)
    for rival in cell["rivals"]:
        if rival["name"] != "py-spy" or rival["wall_ms"] is None:
            continue
        ours = cell["native_wall_ms" if rival["native"] else "plain_wall_ms"]
        third = rival["native"] and cell["threads"] == 1000
        name = f"whole run{' with --native' if rival['native'] else ''}, share of py-spy's"
        name += ": 1,000 threads" if third else ""
        yield Promise(name, where, ours / rival["wall_ms"], 1 / 3 if third else 1.0)


def of_parts(results):
    agent, requests, cold, unstopped = (results.get(name) for name in ("agent", "requests", "cold", "unstopped"))
    if agent:
        where = f"{agent['interpreter']}, {agent['threads']} threads"
        yield Promise("a check every 10 s, percent of a core", where, agent["core_percent"], 0.2)
    if requests:
        where = requests["interpreter"]
        yield Promise("requests held up, ms", where, requests["longer_ms"], requests["pause_ms"] + 2)
        yield Promise("requests that failed", where, requests["failed"], 0)
    if cold:
        yield Promise("a cold run, times a warm one", cold["interpreter"], cold["ratio"], 3)
    for each in results.get("samples") or []:
        where = f"{each['interpreter']}, {each['threads']} threads"
        yield Promise("a further sample, share of the first", where, each["share"], 0.1)
    if unstopped:
        where = f"{unstopped['interpreter']}, {unstopped['threads']} threads"
        read = unstopped["unstopped"]
        yield Promise("--no-stop: frames that disagree, percent", where, 100 - (read["agree_percent"] or 0), 1)
        yield Promise("--no-stop: frames that are garbage", where, read["garbage"], 0)


def judge(results):
    promises = [promise for cell in results["cells"] if cell["rounds"] for promise in of_cell(cell)]
    return [*promises, *of_parts(results)]
