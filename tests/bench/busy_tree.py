"""A program whose every call is known: busy_tree.py THREADS. Each thread wanders through calls without a rest.

What may call what is told beforehand, with the lines of each function, so that any frame shown can be judged.
Standard output: one line of JSON with them.
"""

import dis
import json
import os
import pathlib
import sys
import threading
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402,F401  (ends with who started it)


gate = threading.Event()


def root(rounds):
    gate.wait()  # nobody computes before all are there
    depth = 0
    while True:
        depth = (depth * 13 + 7) % 30
        branch(depth, rounds)


def branch(depth, rounds):
    if depth % 3 == 0:
        twig(depth, rounds)
    if depth > 0:
        Tree().grow(depth - 1, rounds)


def twig(depth, rounds):
    for number in range(rounds):
        leaf(depth + number)


def leaf(number):
    total = 0
    for each in range(number):
        total += each & 7
    return total


class Tree:
    def grow(self, depth, rounds):
        if depth % 2 == 0:
            leaf(depth)
        branch(depth, rounds)


CALLS = {
    ("Thread.run", "root"),
    ("root", "branch"),
    ("branch", "twig"),
    ("branch", "Tree.grow"),
    ("twig", "leaf"),
    ("Tree.grow", "leaf"),
    ("Tree.grow", "branch"),
}
FUNCTIONS = {"root": root, "branch": branch, "twig": twig, "leaf": leaf, "Tree.grow": Tree.grow}


def lines_of(function):
    code = function.__code__
    return [code.co_firstlineno, max(number for _, number in dis.findlinestarts(code) if number)]


def names_in(code):
    """Of every function that a module defines, however deep inside."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return {code.co_name}.union(*map(names_in, inner))


def names_of(module):
    with open(module.__file__, encoding="utf-8") as file:
        return sorted(names_in(compile(file.read(), module.__file__, "exec")))


if __name__ == "__main__":
    threading.stack_size(512 << 10)
    sys.setswitchinterval(0.0005)
    for index in range(int(sys.argv[1]) - 1):
        threading.Thread(target=root, args=(40,), name="worker-%d" % index, daemon=True).start()
    facts = {
        "pid": os.getpid(),
        "file": os.path.abspath(__file__),
        "calls": sorted(map(list, CALLS)),
        "others": {threading.__file__: names_of(threading)},
        "lines": {name: lines_of(function) for name, function in FUNCTIONS.items()},
    }
    os.write(1, json.dumps(facts).encode() + b"\n")
    gate.set()
    os.read(0, 1)
    os._exit(0)
