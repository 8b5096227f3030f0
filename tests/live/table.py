#!/usr/bin/python3
"""The table of interpreters, docs/interpreters.md: table.py RESULTS… prints it as measured by reach_test.py.

Ways with the same six answers share a row. Reading the committed table back is what `differences` compares with.
"""

import pathlib
import re
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interpreters")]
import expected  # noqa: E402
import reach_check  # noqa: E402
import results  # noqa: E402

COMMITTED = HERE.parent.parent / "docs" / "interpreters.md"
HEAD = ["interpreter", "build", "run", *reach_check.CELLS]
INTRODUCTION = """# Which CPythons are read, and how they may run

Written by `tests/live/reach_test.py` (`make table`), not by hand: on each interpreter, in each way of running it, one program is
looked at whose threads are deadlocked on two Locks, wait for an RLock, hold and want the GIL, sleep, and have locals. A cell says
whether what the dump tells equals what the program tells of itself. `make test` holds each interpreter, and every way of some,
against this table, `make test-all` all of it.

The ways: `plain`; `container` (a mount namespace and pivot_root), `pidns` (and a pid namespace), `userns` (and a user namespace);
`chroot`; `loader` (started by ld.so); the executable `deleted`, `replaced` or `renamed` (to uwsgi), run from a `memfd`, or `stripped`;
`embedded` (a C program that is linked with libpython); `jit` (PYTHON_JIT=1); `gil` (a free-threaded build with PYTHON_GIL=1).

Native stacks on musl end with the frame of its libc that began the thread, for it has no unwind tables, and with code of the JIT, which
nobody describes: the dump says so in a gap, and a cell passes if it does. A GIL that only stripped symbols tell of (3.6) is unknown.

Builds with Py_TRACE_REFS (debug builds of 3.6 and 3.7, `--with-trace-refs` from 3.8 on) are packaged by nobody. Those of one's own are tried
with all others by PYTHREADS_EXTRA_PYTHONS, as any build is.
"""


def build_of(entry):
    return ("free-threaded " if entry["free_threaded"] else "") + ("debug" if entry["debug"] else "release")


def answers(entry):
    return tuple("FAIL" if entry["cells"][name] else "pass" for name in reach_check.CELLS)


def order(name):
    known = [*expected.WHERE_FOUND[:1], *expected.EXPECTED, *expected.WHERE_FOUND[1:]]
    return (known.index(name) if name in known else len(known), name)


def rows(claims, builds):
    """Rows of text. `claims`: {(interpreter, way): answers}, in the order of ways."""
    by_row = {}
    for (name, way), answer in claims.items():
        by_row.setdefault((name, answer), []).append(way)
    found = sorted(by_row.items(), key=lambda each: order(each[0][0]))
    listed = [[name, builds.get(name, ""), ", ".join(all_ways), *answer] for (name, answer), all_ways in found]
    have = {name for name, _ in claims}
    listed += [[name, "", "", *["not found here"] * len(reach_check.CELLS)] for name in expected.EXPECTED if name not in have]
    return listed


def claims_of(entries):
    return {(each["interpreter"], each["way"]): answers(each) for each in entries}


def builds_of(entries):
    return {each["interpreter"]: build_of(each) for each in entries}


def committed():
    """({(interpreter, way): answers}, {interpreter: build}) of the committed table."""
    claims, builds = {}, {}
    try:
        text = COMMITTED.read_text(encoding="utf-8")
    except OSError:
        return claims, builds
    for line in text.splitlines():
        cells = [each.strip() for each in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != len(HEAD) or cells == HEAD or not cells[2]:
            continue
        builds[cells[0]] = cells[1]
        for way in cells[2].split(", "):
            claims[cells[0], way] = tuple(cells[3:])
    return claims, builds


def differences(entries):
    """Where the committed table claims another thing than was measured, as sentences."""
    claims, _ = committed()
    wrong = []
    for key, answer in claims_of(entries).items():
        if key not in claims:
            wrong.append(f"docs/interpreters.md says nothing of {key[0]}, {key[1]} (make table writes it)")
        elif claims[key] != answer:
            cells = [
                f"{name}: {claim}, is {is_now}"
                for name, claim, is_now in zip(reach_check.CELLS, claims[key], answer)
                if claim != is_now
            ]
            wrong.append(f"docs/interpreters.md is wrong of {key[0]}, {key[1]}: {'; '.join(cells)}")
    return wrong


def markdown(claims, builds):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(each) + " |" for each in rows(claims, builds)]
    return "\n".join(lines) + "\n"


def write(entries):
    """The committed table with what was measured in the place of what it said of that."""
    claims, builds = committed()
    claims.update(claims_of(entries))
    builds.update(builds_of(entries))
    failed = {}
    for each in entries:
        for name in reach_check.CELLS:
            if each["cells"][name]:
                # No addresses or ids: they differ in each run.
                text = re.sub(r"0x[0-9a-f]+|\b\d{4,}\b", "…", each["cells"][name][0])[:300]
                failed.setdefault((each["interpreter"], name, text), []).append(each["way"])
    measured = {each["interpreter"] for each in entries}
    before = COMMITTED.read_text(encoding="utf-8").splitlines() if COMMITTED.exists() else []
    said = "".join(
        line + "\n" for line in before if line.startswith("- ") and line[2:].partition(",")[0] not in measured
    )
    said += "".join(f"- {name}, {', '.join(in_ways)}: {cell}: {text}\n" for (name, cell, text), in_ways in failed.items())
    text = INTRODUCTION + "\n" + markdown(claims, builds) + ("\nWhat fails:\n\n" + said if said else "")
    COMMITTED.write_text(text, encoding="utf-8")


def main(paths):
    entries = {}
    scenarios = {}
    for path in paths:
        for entry in results.read_lines(path):
            if "way" in entry:
                entries[entry["interpreter"], entry["way"]] = entry
            elif "scenario" in entry:
                tried = scenarios.setdefault(expected.kept_name(entry["interpreter"]), {})
                tried[entry["scenario"]] = bool(entry["problems"])
    listed = rows(claims_of(entries.values()), builds_of(entries.values()))
    seen = set()
    for row in listed:
        tried = scenarios.get(row[0], {}) if row[0] not in seen else {}
        seen.add(row[0])
        row.append(f"{len(tried)}, {sum(tried.values())} failed" if tried else "")
    listed.insert(0, [*HEAD, "scenarios"])
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]))]
    print("Interpreters:")
    for row in listed:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
