#!/usr/bin/python3
"""The table of interpreters: table.py RESULTS… merges what live tests kept and prints who ran and who was not found."""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import results  # noqa: E402

MINORS = ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]


def build_of(entry):
    return ("free-threaded " if entry["free_threaded"] else "") + ("debug" if entry["debug"] else "release")


def table(entries):
    """Lines: each interpreter that ran, then each version and build that none was found for."""
    ran = {}
    for entry in entries:
        ran.setdefault(entry["interpreter"], []).append(entry)
    rows = []
    for name, each in ran.items():
        failed = sum(bool(entry["problems"]) for entry in each)
        rows.append((each[0]["version"], build_of(each[0]), name, f"ran: {len(each)} scenarios, {failed} failed"))
    seen = {(".".join(version.split(".")[:2]), build) for version, build, _, _ in rows}
    for minor in MINORS:
        builds = ["release", "debug"] + ["free-threaded release"] * (minor in ("3.13", "3.14", "3.15"))
        rows += [(minor, build, "-", "not found") for build in builds if (minor, build) not in seen]
    rows.sort(key=lambda row: ([int(part) for part in row[0].split(".")], row[1], row[2]))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]) for row in rows]


def main(paths):
    entries = {}
    for path in paths:
        for entry in results.read_lines(path)[1:]:
            entries[entry["interpreter"], entry["scenario"]] = entry
    print("Interpreters:")
    for line in table(entries.values()):
        print("  " + line)
    return 1 if any(entry["problems"] for entry in entries.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
