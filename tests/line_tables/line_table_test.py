#!/usr/bin/env python3
"""Compares the positions that pythreads finds in line tables with what each interpreter says of itself.

    line_table_test.py PRINT_POSITIONS

Compared is every instruction of every code object of sample.py and of the standard library: of a part of its
files, or with PYTHREADS_TEST_ALL=1 of all of them. The committed folder corpus/ holds what each minor version
says of sample.py, so that something is compared where there is no interpreter of it.
"""

import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interpreters"))
import interpreters  # noqa: E402

STEP = "1" if os.environ.get("PYTHREADS_TEST_ALL") else "40"
BATCH = 2000  # code objects


def found_positions(program, asked):
    done = subprocess.run([program], input="\n".join(asked) + "\n", capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def compare(program, name, pairs):
    """Compares (asked, truth) pairs; returns how many instructions, and prints the first that differ."""
    instructions = wrong = 0
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        answers = found_positions(program, [asked for asked, _ in part])
        if len(answers) != len(part):
            print(f"{name}: {len(answers)} answers to {len(part)} code objects")
            return instructions, 1
        for (asked, truth), answer in zip(part, answers):
            instructions += truth.count(" ") + 1
            if truth != answer:
                wrong += 1
                if wrong <= 3:
                    print(f"{name}: {asked[:200]}\n  says  {truth[:200]}\n  found {answer[:200]}")
    return instructions, wrong


def pairs_of(text):
    lines = text.splitlines()
    return list(zip(lines[0::2], lines[1::2]))


def ask(command, arguments):
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONIOENCODING="utf-8")
    command = [*command, "-W", "ignore", str(HERE / "write_truth.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def main(program):
    failed = []
    files = sorted((HERE / "corpus").glob("*.txt"))
    for file in files:
        instructions, wrong = compare(program, file.stem, pairs_of(file.read_text(encoding="ascii")))
        print(f"corpus {file.stem}: {instructions} instructions, {wrong} code objects differ")
        if wrong or instructions < 300:
            failed.append(f"corpus {file.stem}")
    if len(files) < 3:
        failed.append("corpus")
    found = interpreters.for_scenarios(interpreters.find_interpreters())
    for each in found:
        pairs = pairs_of(ask(each["command"], [str(HERE / "sample.py")]))
        pairs += pairs_of(ask(each["command"], ["--stdlib", STEP]))
        instructions, wrong = compare(program, each["name"], pairs)
        print(f"{each['name']} {each['version']}: {len(pairs)} code objects, {instructions} instructions, {wrong} differ")
        if wrong or instructions < 5_000:
            failed.append(each["name"])
    if not found:
        failed.append("no interpreter was found")
    if failed:
        sys.exit("failed: " + ", ".join(failed))


main(sys.argv[1])
