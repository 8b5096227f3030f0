#!/usr/bin/python3
"""Compares the rows of pyframes/opcodes.h, and the tables in pyframes/opcodes/, with the `opcode` module of every
interpreter found.

Also that a `with` block is laid out as the readers expect: its handler's second instruction from 3.11 on (its
first before) is the one in the row.
"""

import json
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interpreters"))
import interpreters  # noqa: E402

COLUMNS = ("minor", "with_except_start", "setup_with", "setup_async_with", "setup_finally", "extended_arg")
ASK = """
import dis, json, opcode, sys
names = opcode.opmap
real = lambda name: names[name] if names.get(name, 999) < 256 else 0
def block(lock):
    with lock:
        pass
code = [(i.offset, i.opname) for i in dis.get_instructions(block)]
handler = next((k for k, (_, name) in enumerate(code) if name in ("WITH_EXCEPT_START", "WITH_CLEANUP_START")))
print(json.dumps({
    "minor": sys.version_info[1],
    "with_except_start": names.get("WITH_EXCEPT_START", names.get("WITH_CLEANUP_START")),
    "setup_with": real("SETUP_WITH"),
    "setup_async_with": real("SETUP_ASYNC_WITH"),
    "setup_finally": real("SETUP_FINALLY"),
    "extended_arg": names["EXTENDED_ARG"],
    "pushed_before": code[handler - 1][1] == "PUSH_EXC_INFO",
}))
"""


def committed_rows():
    text = (HERE.parents[1] / "pyframes" / "opcodes.h").read_text()
    rows = re.findall(r"\{(\d+), (\d+), (\d+), (\d+), (\d+), (\d+), (?:true|false)\}", text)
    return {int(row[0]): dict(zip(COLUMNS, map(int, row))) for row in rows}


def differs_from_table(found, minor):
    folder = HERE.parents[1] / "pyframes" / "opcodes"
    generate = (folder / "generate.py").read_text()
    done = subprocess.run([*found["command"], "-ISc", generate], capture_output=True, text=True, check=True)
    return done.stdout != (folder / f"cpython_3_{minor}.h").read_text()


def main():
    rows = committed_rows()
    compared, wrong = [], []
    for found in interpreters.find_interpreters():
        done = subprocess.run([*found["command"], "-ISc", ASK], capture_output=True, text=True, check=True)
        truth = json.loads(done.stdout)
        pushed_before = truth.pop("pushed_before")
        compared.append(found["name"])
        if rows.get(truth["minor"]) != truth:
            wrong.append(f"{found['name']}: says {truth}, the row is {rows.get(truth['minor'])}")
        if differs_from_table(found, truth["minor"]):
            wrong.append(f"{found['name']}: pyframes/opcodes/generate.py gives another table")
        if pushed_before != (truth["setup_with"] == 0):
            wrong.append(f"{found['name']}: the handler of a with block begins otherwise than expected")
    print("\n".join(wrong) or f"{len(compared)} interpreters agree: {' '.join(compared)}")
    return 1 if wrong or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
