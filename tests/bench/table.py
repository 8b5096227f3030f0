"""The results as a page: docs/benchmark.md."""

import promises
import rivals

ABOUT = """# What a look costs

Written by `make bench`. All figures of a row come from one run of the benchmark, in turns: in every round the bare program, pythreads
and its rivals look at the same process one after another. Times are milliseconds, medians of the rounds; what counts are the ratios,
for the machine may be doing something else meanwhile. A dump that says that something could not be read (a gap) is no measurement.

- **held**: from the first PTRACE_INTERRUPT to the last PTRACE_DETACH of `dump --json --native`: Python and native stacks, locks, owners.
- **bare**: the same of `tests/bench/bare_stop.cpp`, which seizes and interrupts all threads, waits for each, reads its registers
  and 16 KiB of its stack, and detaches: the least that a look at every stack can cost. **ratio**: held by bare.
- **felt**: the longest time between two beats of a thread of the process that wakes up each 0.1 ms, during a dump; during a bare stop;
  and while nothing looks (which is what the machine's own noise comes to).
- **wall**: from fork to exit of `dump --native` and of `dump`, as text, files in the page cache. **peak**: memory, the most of all rounds.

Blocked: each thread holds a lock by `with`; half of them wait for one lock, half in read(2). Busy: all compute; nobody's heart
beats regularly there, so nothing is felt.
"""


def ms(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def row(values):
    return "| " + " | ".join(values) + " |"


def table(head, rows):
    aligned = [each.lstrip(">") for each in head]
    rule = ["---:" if each.startswith(">") else "---" for each in head]
    return [row(aligned), row(rule), *map(row, rows), ""]


def in_order(cells):
    """Of one interpreter together, as they were begun: versions as they were asked for, sizes as they grow."""
    names = list(dict.fromkeys(cell["interpreter"] for cell in cells))
    return sorted(cells, key=lambda cell: (names.index(cell["interpreter"]), cell["way"], cell["threads"], cell["depth"]))


def cell_rows(cells):
    for cell in in_order(cells):
        if not cell["rounds"]:
            continue
        peak = max(cell["peak_kib"], cell["native_peak_kib"], cell["plain_peak_kib"]) / 1024
        yield [
            cell["interpreter"],
            f"{cell['threads']:,}",
            str(cell["depth"]),
            cell["way"],
            str(cell["rounds"]),
            ms(cell["bare_held_ms"]),
            ms(cell["held_ms"]),
            f"{cell['held_ratio']:.2f}",
            ms(cell["held_worst_ms"]),
            f"{ms(cell['felt_ms'])}, {ms(cell['bare_felt_ms'])}, {ms(cell['calm_ms'])}" if cell["felt_ms"] else "-",
            ms(cell["native_wall_ms"]),
            ms(cell["plain_wall_ms"]),
            ms(cell["native_cpu_ms"]),
            f"{peak:.1f} MiB",
        ]


def rival_rows(cells):
    for cell in in_order(cells):
        if not cell["rounds"] or not cell["rivals"]:
            continue
        for native in (True, False):
            ours = cell["native_wall_ms" if native else "plain_wall_ms"]
            yield [cell["interpreter"], f"{cell['threads']:,}", f"pythreads{' --native' if native else ''}", ms(ours), "1", ""]
            for rival in cell["rivals"]:
                if rival["native"] != native:
                    continue
                note = rival["note"] or (f"{rival['rounds']} rounds" if rival["rounds"] < cell["rounds"] else "")
                times = f"{rival['wall_ms'] / ours:.2f}" if rival["wall_ms"] else "-"
                name = rival["name"] + (" native" if native else "")
                yield [cell["interpreter"], f"{cell['threads']:,}", name, ms(rival["wall_ms"]), times, note]


def call_rows(calls):
    for each in calls:
        held = ", ".join(f"{name} {count}" for name, count in list(each["held_by_name"].items())[:4])
        yield [
            each["interpreter"],
            f"{each['threads']:,}",
            f"{each['calls']:,}",
            f"{each['calls_a_thread']:.1f}",
            f"{each['held_calls']:,}",
            f"{each['held_calls_a_thread']:.1f}",
            held,
        ]


def parts(results):
    if agent := results.get("agent"):
        yield (
            f"- **A monitoring agent** that runs `pythreads check` on a service of {agent['threads']} threads each 10 s:"
            f" {ms(agent['cpu_ms'])} ms of processor time a check, {agent['core_percent']:.2f} % of one core."
        )
    if requests := results.get("requests"):
        yield (
            f"- **Requests** to an HTTP server, {requests['looks']} dumps: {requests['during']} in flight during one took"
            f" {ms(requests['during_ms'])} ms, {requests['beside']} at random moments {ms(requests['beside_ms'])} ms:"
            f" {ms(requests['longer_ms'])} ms longer, held {ms(requests['pause_ms'])} ms; {requests['failed']} of"
            f" {requests['requests']} failed."
        )
    if cold := results.get("cold"):
        yield (
            f"- **A cold run**, its files dropped from the page cache ({cold['threads']} threads): {ms(cold['cold_ms'])} ms,"
            f" a warm one {ms(cold['warm_ms'])} ms: {cold['ratio']:.2f} times."
        )
    if unstopped := results.get("unstopped"):
        read, held = unstopped["unstopped"], unstopped["stopped"]
        yield (
            f"- **`--no-stop`** of {unstopped['threads']} threads that never rest: {read['agree_percent']:.2f} % of"
            f" {read['frames']:,} frames are such as the program has, {read['garbage']} are garbage, {read['unread']}"
            f" say that they could not be read; stopped"
            f" {held['agree_percent']:.2f} % of {held['frames']:,}."
        )
    for each in results.get("samples") or []:
        yield (
            f"- **A further sample** of {each['threads']:,} threads (`--samples`): {ms(each['cpu_ms'])} ms of processor time,"
            f" the first {ms(each['first_cpu_ms'])} ms: {each['share']:.2f} times."
        )
    for each in results.get("locks") or []:
        yield (
            f"- **Reading locks**, 100 threads 20 deep, `{each['way']}`: held {ms(each['without_ms'])} ms without,"
            f" {ms(each['with_ms'])} ms with: {each['ratio']:.2f} times."
        )


def left_out_lines(left_out):
    """Each reason once, with what it is the reason for."""
    by_reason = {}
    for what, why in left_out:
        by_reason.setdefault(why, []).append(what)
    for why, what in by_reason.items():
        yield f"- {'; '.join(what)}: {why}"


def promise_rows(kept):
    """Of each promise the worst place, and in how many it was kept."""
    by_what = {}
    for promise in kept:
        by_what.setdefault(promise.what, []).append(promise)
    for what, made in by_what.items():
        worst = max(made, key=lambda each: each.value / each.most if each.most else each.value)
        good = sum(each.kept for each in made)
        yield [what, f"{worst.most:.2f}", f"{worst.value:.2f}", worst.where, f"{good} of {len(made)}"]


def page(results):
    machine = results["machine"]
    lines = [ABOUT, f"Machine: {machine['processors']} processors ({machine['model']}), Linux {machine['kernel']};"]
    lines[-1] += f" pythreads {results['version']}; load {machine['load_before']:.1f} before, {machine['load_after']:.1f} after."
    lines += ["", "![Held time and whole run over the number of threads](benchmark.svg)", "", results["plotted"], ""]
    lines += ["## What is promised", ""]
    lines += table(["promise", ">at most", ">worst", "where", "kept"], promise_rows(promises.judge(results)))
    lines += ["## Held, felt, whole", ""]
    head = ["python", ">threads", ">deep", "", ">rounds", ">bare", ">held", ">ratio", ">worst held", "felt: dump, bare, calm"]
    lines += table([*head, ">wall --native", ">wall", ">processor", ">peak"], cell_rows(results["cells"]))
    lines += ["## Beside others", ""]
    said = ", ".join(f"{each['name']} {each['version']}" for each in results["rivals"]) or "none was found"
    missing = f" Not installed: {', '.join(results['rivals_missing'])}." if results["rivals_missing"] else ""
    lines += [f"{said}.{missing} To install them: `{rivals.HOW_TO_INSTALL}`.", ""]
    lines += table(["python", ">threads", "", ">wall", ">times ours", ""], rival_rows(results["cells"]))
    lines += ["## System calls", ""]
    if results.get("calls"):
        lines += ["Of `dump --json --native`, 20 deep, by strace.", ""]
        head = ["python", ">threads", ">calls", ">a thread", ">while held", ">a thread", "most of them"]
        lines += table(head, call_rows(results["calls"]))
    else:
        lines += ["Not counted: " + results["calls_note"], ""]
    lines += ["## And else", "", *parts(results), ""]
    lines += ["## Not measured", ""]
    lines += list(left_out_lines(results["left_out"])) or ["- nothing was left out"]
    return "\n".join(lines) + "\n"
