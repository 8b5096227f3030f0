#!/usr/bin/python3
"""Every scenario on every interpreter: what a dump says equals what the process says of itself.

Environment:
  PYTHREADS_EXECUTABLE         the program under test
  PYTHREADS_TEST_INTERPRETERS  `system`, `others`, `jit` (those that have one, with it on), or names separated by commas
                               (sid-3.15-jit); all but `jit` without it
  PYTHREADS_TEST_SCENARIOS     names separated by commas; without it all on the system's Python, a few on the others
  PYTHREADS_TEST_ALL           if set, all scenarios on all interpreters; those that passed are not run again
  PYTHREADS_TEST_RESULTS       the file of results (results.py)
"""

import json
import os
import pathlib
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import dump_check  # noqa: E402
import interpreters  # noqa: E402
import program  # noqa: E402
import results  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402
import text_check  # noqa: E402
import truth_check  # noqa: E402

# On each interpreter in every run; the others belong to PYTHREADS_TEST_ALL.
FEW = ["c_callbacks", "exceptions", "generators", "known_lines", "rlock_deadlock"]
FREE_THREADED = ["tagged_values", "thread_local_bytecode"]
TRIES_WHILE_MOVING = 5
# A build with sanitizers on a busy machine is not to be cut short.


def is_system(interpreter):
    return interpreter["name"].startswith("system-")


def chosen_interpreters():
    found = interpreters.find_interpreters()
    wanted = os.environ.get("PYTHREADS_TEST_INTERPRETERS")
    if not wanted:
        return interpreters.for_scenarios(found)
    if wanted in ("system", "others"):
        return [each for each in interpreters.for_scenarios(found) if is_system(each) == (wanted == "system")]
    if wanted == "jit":
        return interpreters.jit_interpreters(found)
    if "-jit" in wanted:
        found = found + interpreters.jit_interpreters(found)
    names = wanted.split(",")
    missing = set(names) - {each["name"] for each in found}
    if missing:
        sys.exit(f"live_test.py: not found: {', '.join(sorted(missing))}")
    return [each for each in found if each["name"] in names]


def chosen_scenarios(interpreter):
    wanted = os.environ.get("PYTHREADS_TEST_SCENARIOS")
    if wanted:
        return wanted.split(",")
    if interpreter["name"].endswith("-jit") and not os.environ.get("PYTHREADS_TEST_ALL"):
        return [*FEW, "hot_loops"]
    if is_system(interpreter) or os.environ.get("PYTHREADS_TEST_ALL"):
        return scoped_target.scenario_names()
    return FEW + FREE_THREADED if interpreter["free_threaded"] else FEW


def dump(target, *options, by=None):
    """The text that `pythreads dump` printed, and what was wrong with the run itself."""
    done = program.dump(target.pid, *options, by=by)
    problems = []
    if done.returncode != 0:
        problems.append(f"dump {' '.join(options)}: exit {done.returncode}")
    if done.stderr:
        problems.append(f"dump {' '.join(options)}: {done.stderr.decode(errors='replace')[:2000]}")
    return done.stdout.decode("utf-8"), problems


def check_json(target, *options):
    """The JSON of a dump against the truth and the schema; (its text, problems)."""
    native = "--native" in options
    text, problems = dump(target, "--json", *options)
    if not text:
        return text, problems
    try:
        document = json.loads(text)
    except ValueError as error:
        return text, [*problems, f"no JSON: {error}"]
    problems += schema_check.problems(document)
    problems += dump_check.check(target.truth, document, native, target.tids)
    if "--locals" in options and "locals" in target.truth:
        problems += dump_check.check_locals(target.truth, document, text)
    again = program.run("show", "-", "--json", stdin=text.encode(), by=program.released())
    if again.stdout != text.encode() or again.stderr:
        problems.append(f"show --json differs: {again.stderr.decode(errors='replace')[:500]}")
    return text, [f"{' '.join(options)} {each}".strip() for each in problems]


def check_text(target, json_text, *options):
    """The text of a dump against the truth, and against `show` of a JSON dump.

    By the release build: sanitizers watch the readers in `check_json`, and cost three times as much.
    """
    text, problems = dump(target, *options, by=program.released())
    shown = program.run("show", "-", *options, stdin=json_text.encode(), by=program.released())
    if shown.returncode != 0 or shown.stderr:
        problems.append(f"show: exit {shown.returncode}, {shown.stderr.decode(errors='replace')[:500]}")
    ours, theirs = text_check.without_look(text), text_check.without_look(shown.stdout.decode())
    if ours != theirs and not any(each["moving"] for each in target.truth["threads"]):
        lines = [pair for pair in zip(ours.splitlines(), theirs.splitlines()) if pair[0] != pair[1]]
        problems.append(f"dump and show differ: {lines[:3]}, {len(ours)} and {len(theirs)} characters")
    if "--full" in options:
        problems += text_check.check(target.truth, text)
    return [f"{' '.join(options)} {each}".strip() for each in problems]


def check_left_alone(target):
    problems = []
    if target.process.poll() is not None:
        return [f"the target ended with {target.process.returncode}"]
    moving = target.moving_tids()
    for tid, (state, tracer) in target.states().items():
        if tracer != 0 or (tid not in moving and state != "S"):
            problems.append(f"thread {tid} was left in state {state}, traced by {tracer}")
    return problems


def look(target):
    if target.process.poll() is not None:
        return ["the target has ended"]
    text, problems = check_json(target)
    if not text:
        return problems
    problems += check_text(target, text, "--full")
    problems += check_text(target, text)
    native_text, native_problems = check_json(target, "--native")
    problems += native_problems
    problems += check_text(target, native_text, "--native", "--full")
    problems += check_json(target, "--locals")[1]
    return problems


def run_pair(interpreter, scenario):
    """Problems of one scenario on one interpreter."""
    with scoped_target.ScopedTarget(interpreter, scenario) as target:
        problems = [f"the truth itself: {each}" for each in truth_check.check(target.truth)]
        if problems:
            return problems
        # A thread in take_gil wakes each 5 ms for some microseconds, and may be met then.
        tries = TRIES_WHILE_MOVING if target.moving_tids() else 1
        for _ in range(tries):
            problems = look(target) + check_left_alone(target)
            if not problems:
                break
        return problems


class Live(unittest.TestCase):
    maxDiff = None


def add_test(interpreter, scenario, kept):
    def test(self):
        if os.environ.get("PYTHREADS_TEST_ALL") and kept.passed(interpreter, scenario):
            return  # in the run that this one goes on with
        began = time.monotonic()
        try:
            problems = run_pair(interpreter, scenario)
        except Exception as error:
            kept.add(interpreter, scenario, [f"{type(error).__name__}: {error}"])
            raise
        kept.add(interpreter, scenario, problems)
        if os.environ.get("PYTHREADS_TEST_VERBOSE"):
            print(f"{interpreter['name']} {scenario}: {len(problems)} problems, {time.monotonic() - began:.1f} s")
        if problems:
            shown = "\n  ".join(each[:1500] for each in problems[:12])
            self.fail(f"{len(problems)} problems with {scenario} on {interpreter['name']}:\n  {shown}")

    name = f"test_{interpreter['name']}_{scenario}".replace("-", "_").replace(".", "_")
    setattr(Live, name, test)


def main():
    kept = results.Results(
        os.environ.get("PYTHREADS_TEST_RESULTS", "build/live_results.jsonl"), program.executable()
    )
    found = chosen_interpreters()
    for interpreter in found:
        for scenario in chosen_scenarios(interpreter):
            add_test(interpreter, scenario, kept)
    if not found:
        print("live_test.py: no such interpreter here; tests/interpreters/fetch.py gets those of Debian's suites")
    done = unittest.main(exit=False, verbosity=1)
    for name in sorted({each["interpreter"] for each in kept.entries.values()}):
        tried = [each for each in kept.entries.values() if each["interpreter"] == name]
        print(f"{name}: {len(tried)} scenarios, {sum(bool(each['problems']) for each in tried)} failed")
    sys.exit(0 if done.result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
