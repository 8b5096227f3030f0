"""One function in many threads at once, each with operands of other types: free-threaded builds (3.14 on) give each
thread its own copy of the bytecode, which is specialised for what that thread does.

Each blocks in another line of it. Generators began in one thread, whose copy was given on when it ended, and go on in
another. That there are copies is seen from the code object's own bytecode (`_co_code_adaptive`): the main thread's,
which never runs that function, so it stays as it was made.
"""

import os
import sys
import sysconfig
import threading
import types

import scene

TURNS = 300


class Plain:
    def __init__(self):
        self.size = 2


class Slotted:
    __slots__ = ("size",)

    def __init__(self):
        self.size = 3


class Computed:
    @property
    def size(self):
        return 4


class Shared:
    size = 5


module = types.ModuleType("module")
module.size = 6

KINDS = [
    (1, 2, Plain(), [1]),
    (1.5, 2.5, Slotted(), (1,)),
    ("a", "b", Computed(), {0: 1}),
    ([1], [2], Shared(), "ab"),
    ((1,), (2,), module, range(3)),
    (1 << 70, 1 << 71, Plain, b"ab"),
    (True, 2.5, Slotted(), [None]),
    (2j, 1, Shared, bytearray(b"a")),
]
Plain.size = 7


def work(kind, left, right, owner, items):
    total = 0
    for turn in range(TURNS):
        left + right
        total += owner.size
        items[0]
        for _ in items:
            pass
        if left == right:
            total -= 1
    if kind == 0:
        os.read(scene.NEVER, 1)  # kind 0
    elif kind == 1:
        os.read(scene.NEVER, 1)  # kind 1
    elif kind == 2:
        [os.read(scene.NEVER, 1) for _ in items]  # kind 2
    elif kind == 3:
        (lambda: os.read(scene.NEVER, 1))()  # kind 3
    elif kind == 4:
        list(produce())  # kind 4
    else:
        while True:
            total += len(os.read(scene.NEVER, 1))  # kinds above
    return total


def produce():
    for turn in range(TURNS):
        if turn == TURNS - 1:
            os.read(scene.NEVER, 1)
        yield turn
    yield os.read(scene.NEVER, 1)  # produce


def first_half(generator):
    """In a thread that ends."""
    for turn in generator:
        if turn == TURNS // 2:
            return


def second_half(generator):
    for _ in generator:  # second half
        pass


def run():
    lines = {}
    made = getattr(work.__code__, "_co_code_adaptive", None)
    for kind, operands in enumerate(KINDS):
        scene.thread(work, kind, *operands, name="kind-%d" % kind)
        lines["kind-%d" % kind] = ["work", scene.line("kind %d" % kind if kind < 5 else "kinds above")]
    begun = [produce() for _ in range(4)]
    halves = [threading.Thread(target=first_half, args=(each,)) for each in begun]
    for each in halves:
        each.start()
    for each in halves:
        each.join()
    for number, each in enumerate(begun):
        scene.thread(second_half, each, name="half-%d" % number)
        lines["half-%d" % number] = ["second_half", scene.line("second half")]
    scene.wait_until_settled()
    copied = sysconfig.get_config_var("Py_GIL_DISABLED") and sys.version_info >= (3, 14)
    if copied and os.environ.get("PYTHON_TLBC") != "0" and work.__code__._co_code_adaptive != made:
        raise AssertionError("the threads ran the code object's own bytecode")
    scene.ready(lines=lines)


if __name__ == "__main__":
    run()
