#!/usr/bin/python3
"""How long pythreads holds a process and what else a look costs, against the least that is possible and against others.

    bench.py --pythreads build/release/pythreads --build build/release [--output docs] [--check]

Measures in turns, so that what disturbs the machine disturbs all alike (cells.py), and writes benchmark.md, .json and
.svg. --short is for correctness alone: few sizes and rounds, and no time is judged. --only takes one part or several
of: calls, agent, requests, cold, unstopped, samples, locks, sizes. --check: exit 1 if a promise (promises.py) is not kept.
Ctrl-C ends it with what it has; the page names what is missing.
"""

import argparse
import json
import os
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cells  # noqa: E402
import cold_run  # noqa: E402
import lock_reading  # noqa: E402
import measured  # noqa: E402
import plan  # noqa: E402
import plot  # noqa: E402
import promises  # noqa: E402
import rivals  # noqa: E402
import samples  # noqa: E402
import service  # noqa: E402
import system_calls  # noqa: E402
import table  # noqa: E402
import targets  # noqa: E402
import unstopped  # noqa: E402

# The long one last: what is measured is written as it comes.
PARTS = ("calls", "agent", "requests", "cold", "unstopped", "samples", "locks", "sizes")


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythreads", required=True)
    parser.add_argument("--build", required=True, help="the build's folder: it holds tests/bench/bare_stop")
    parser.add_argument("--output", type=pathlib.Path, help="a folder for benchmark.md, .json and .svg")
    parser.add_argument("--short", action="store_true", help="few sizes and rounds")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--interpreter", action="append", help="names of interpreters.py, or versions as 3.14 or 3.13t")
    parser.add_argument("--threads", action="append", type=int)
    parser.add_argument("--depth", action="append", type=int)
    parser.add_argument("--way", action="append", choices=("blocked", "busy"))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit 1 if a promise is not kept")
    return parser.parse_args()


def progress(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def machine():
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "processors": len(os.sched_getaffinity(0)),
        "model": model,
        "kernel": os.uname().release.split("-")[0],
        "load_before": os.getloadavg()[0],
    }


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.parts = arguments.only or list(PARTS)
        self.rounds = arguments.rounds or (3 if arguments.short else 7)
        self.tools = measured.Tools(arguments.build, arguments.pythreads)
        versions = arguments.interpreter or (["3.11"] if arguments.short else plan.VERSIONS)
        found = targets.find(versions)
        # What is not measured on every version is measured on this one.
        self.interpreters = found
        self.one = next((each for each in found if each["name"].startswith("system-")), found[0])
        self.rivals, self.missing = ([], []) if arguments.no_rivals or arguments.short else rivals.find()
        if self.missing:
            progress(f"not installed: {', '.join(self.missing)}; {rivals.HOW_TO_INSTALL}")
        version = self.tools.run([self.tools.pythreads, "--version"]).output.read_text(encoding="utf-8")
        self.results = {
            "schema": "pythreads-benchmark/1",
            "version": version.split()[-1],
            "machine": machine(),
            "rounds": self.rounds,
            "short": arguments.short,
            "rivals": [{"name": r.name, "version": r.version} for r in self.rivals if not r.native or r.name == "gdb"],
            "rivals_missing": self.missing,
            "plotted_interpreter": self.one["name"],
            "cells": [],
            "left_out": [],
            "calls": [],
            "calls_note": "not asked for",
        }

    def run(self):
        if self.one.get("missing"):
            raise SystemExit(f"bench.py: {self.one['name']} is not here: tests/interpreters/fetch.py gets the others")
        for part in PARTS:
            if part in self.parts:
                getattr(self, part)()
            else:
                self.leave_out(part, plan.NOT_ASKED)
            self.write()
        return self.results

    def write(self):
        self.results["machine"]["load_after"] = os.getloadavg()[0]
        if self.arguments.output:
            write(self.arguments.output, self.results)

    def leave_out(self, what, why):
        self.results["left_out"].append([what, str(why)])
        progress(f"not measured: {what}: {why}")

    def alone(self, name, measure, *arguments):
        progress(name)
        try:
            self.results[name] = measure(self.tools, self.one, *arguments)
        except (measured.Failed, targets.TargetFailed) as failure:
            self.leave_out(name, failure)

    def sizes(self):
        asked = self.arguments
        planned, left_out = plan.plan(
            self.interpreters,
            self.one,
            targets.limit_of_threads(),
            asked.threads or ((10, 100) if asked.short else plan.SIZES),
            asked.depth or ((5,) if asked.short else plan.DEPTHS),
            asked.way or plan.WAYS,
            self.rounds,
            few=asked.short or asked.rounds is not None,
        )
        for what, why in left_out:
            self.leave_out(what, why)
        by_name = {each["name"]: each for each in self.interpreters}
        for index, each in enumerate(planned):
            try:
                self.size(each, by_name[each.cell.interpreter], f"{index + 1}/{len(planned)}")
            except KeyboardInterrupt:
                for left in planned[index:]:
                    self.leave_out(left.cell.title, "this run was ended before")
                return

    def size(self, planned, interpreter, at):
        began = time.monotonic()
        cell = planned.cell
        found = cells.measure(
            self.tools, interpreter, cell, planned.rounds, self.rivals_of(planned), planned.seconds
        )
        self.results["cells"].append(found)
        self.write()
        ratio = f"held {found['held_ratio']:.2f} times" if found["rounds"] else "nothing"
        progress(f"{at} {cell.title}: {ratio}, {time.monotonic() - began:.0f} s")
        for name, note in found["notes"].items():
            self.leave_out(f"{cell.title}: {name}" if found["rounds"] else cell.title, note)

    def rivals_of(self, planned):
        wanted = {"all": rivals.NAMES, "promised": (plan.PROMISED_RIVAL,), "none": ()}[planned.rivals]
        return [rival for rival in self.rivals if rival.name in wanted]

    def calls(self):
        self.results["calls_note"] = "there is no strace"
        for threads in self.arguments.threads or ((10, 100) if self.arguments.short else (1, 100, 1000)):
            progress(f"system calls, {threads} threads")
            with targets.Crowd(self.one, threads, 20, "blocked") as target:
                counted = system_calls.count(self.tools, target.pid, "--native")
            if counted is None:
                self.leave_out("system calls", "there is no strace")
                return
            described = system_calls.described(*counted, threads)
            self.results["calls"].append({"interpreter": self.one["name"], **described})

    def agent(self):
        self.alone("agent", service.measure_agent, self.rounds)

    def requests(self):
        self.alone("requests", service.measure_requests, 10 if self.arguments.short else 200)

    def cold(self):
        self.alone("cold", cold_run.measure, self.rounds)

    def unstopped(self):
        looks, threads = (2, 50) if self.arguments.short else (10, 200)
        self.alone("unstopped", unstopped.measure, looks, threads)

    def samples(self):
        self.alone("samples", samples.measure, self.rounds, *([(1, 10)] if self.arguments.short else []))

    def locks(self):
        self.alone("locks", lock_reading.measure, self.rounds if self.arguments.short else 31)


def write(folder, results):
    plotted = [
        cell
        for cell in results["cells"]
        if cell["way"] == "blocked" and cell["rounds"] and cell["interpreter"] == results["plotted_interpreter"]
    ]
    deep = plan.RIVAL_DEPTH if any(cell["depth"] == plan.RIVAL_DEPTH for cell in plotted) else None
    shown = [cell for cell in plotted if deep is None or cell["depth"] == deep]
    depth = shown[0]["depth"] if shown else 0
    results["plotted"] = f"Plotted: {results['plotted_interpreter']}, threads that are blocked, {depth} frames deep."
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.svg").write_text(plot.draw(shown), encoding="utf-8")
    (folder / "benchmark.md").write_text(table.page(results), encoding="utf-8")
    (folder / "benchmark.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main():
    bench = Bench(parsed_arguments())
    try:
        results = bench.run()
    finally:
        bench.tools.close()
    broken = [promise for promise in promises.judge(results) if not promise.kept]
    for each in broken:
        print(f"not kept: {each.what}: {each.value:.2f}, promised {each.most:.2f} ({each.where})")
    if not broken:
        print("every promise that was measured was kept")
    return 1 if broken and bench.arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
