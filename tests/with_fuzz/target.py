"""Four threads that run random code made of `with`: target.py SEED [trace|profile|monitor|opcodes].
Prints id() of its RLocks.

The code is written anew from the seed: nested with, try, except, finally, loops, generators, conditions,
comprehensions, context managers, returns and exceptions out of the middle. Each thread has locks of its own and takes
shared ones in the order of their numbers, so nothing can deadlock. An RLock knows its owner and how often it was
taken: that is the truth.
"""

import contextlib
import os
import random
import sys
import threading

OWN, SHARED, DEPTH = 6, 3, 6


class Writer:
    """Writes functions of random statements."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.names = []

    def line(self, indent, text):
        self.lines.append("    " * indent + text)

    def lock(self, least):
        """An own lock, or a shared one that is not below what is held already."""
        if least < SHARED and self.random.random() < 0.15:
            number = self.random.randrange(least, SHARED)
            return f"shared[{number}]", number + 1
        return f"own[{self.random.randrange(OWN)}]", least

    def block(self, indent, depth, least):
        for _ in range(self.random.randint(1, 3)):
            self.statement(indent, depth, least)

    def statement(self, indent, depth, least):
        if depth <= 0:
            return self.line(indent, self.random.choice(["x += 1", "x = work(x)", "pass", "x = len(str(x))"]))
        kind = self.random.choice(
            ["with", "with", "with", "with2", "try", "finally", "loop", "while", "if", "call", "generator", "condition",
             "manager", "comprehension", "raise", "leave"]
        )
        down = depth - 1
        if kind == "with":
            name, after = self.lock(least)
            self.line(indent, f"with {name}:")
            self.block(indent + 1, down, after)
        elif kind == "with2":
            first, after = self.lock(least)
            second, after = self.lock(after)
            self.line(indent, f"with {first}, {second} as taken:")
            self.block(indent + 1, down, after)
        elif kind == "try":
            self.line(indent, "try:")
            self.block(indent + 1, down, least)
            self.line(indent, "except (ValueError, KeyError) as error:")
            self.block(indent + 1, down - 1, least)
        elif kind == "finally":
            self.line(indent, "try:")
            self.block(indent + 1, down, least)
            self.line(indent, "finally:")
            self.block(indent + 1, down - 1, least)
        elif kind == "loop":
            self.line(indent, f"for i in range({self.random.randint(1, 3)}):")
            self.block(indent + 1, down, least)
            if self.random.random() < 0.3:
                self.line(indent + 1, self.random.choice(["continue", "break"]))
        elif kind == "while":
            self.line(indent, "n = 2")
            self.line(indent, "while n > 0:")
            self.line(indent + 1, "n -= 1")
            self.block(indent + 1, down, least)
        elif kind == "if":
            self.line(indent, "if x % 2:")
            self.block(indent + 1, down, least)
            self.line(indent, "else:")
            self.block(indent + 1, down, least)
        elif kind == "call" and self.names:
            # What it takes is not known here: only functions that take nothing shared.
            self.line(indent, f"x = {self.random.choice(self.names)}(own, shared, x)")
        elif kind == "generator":
            self.line(indent, f"for y in yields(own[{self.random.randrange(OWN)}]):")
            self.block(indent + 1, down, SHARED)
        elif kind == "condition":
            self.line(indent, "with own_condition(own):")
            self.block(indent + 1, down, SHARED)
        elif kind == "manager":
            self.line(indent, f"with managed(own[{self.random.randrange(OWN)}]):")
            self.block(indent + 1, down, SHARED)
        elif kind == "comprehension":
            self.line(indent, f"x = sum([work(i) for i in taken_range(own[{self.random.randrange(OWN)}])])")
        elif kind == "raise":
            self.line(indent, "if x % 7 == 3:")
            self.line(indent + 1, "raise ValueError(x)")
        elif kind == "leave":
            self.line(indent, "if x % 5 == 2:")
            self.line(indent + 1, "return x")
        else:
            self.line(indent, "x += 1")

    def function(self, name, shared):
        self.line(0, f"def {name}(own, shared, x):")
        self.line(1, "x = x % 1000 + 1")
        self.block(1, DEPTH, 0 if shared else SHARED)
        self.line(1, "return x")
        if not shared:
            self.names.append(name)


def work(x):
    for _ in range(60):
        x = (x * 7 + 1) % 1009
    return x


def yields(lock):
    with lock:
        yield 1
        yield 2


def taken_range(lock):
    with lock:
        return list(range(3))


@contextlib.contextmanager
def managed(lock):
    with lock:
        yield lock


def own_condition(own):
    return own[-1]


def run(function, own, shared):
    x = 1
    while True:
        try:
            x = function(own, shared, x) or 1
        except (ValueError, KeyError):
            x += 1


def main():
    seed = int(sys.argv[1])
    how = sys.argv[2] if len(sys.argv) > 2 else ""
    writer = Writer(seed)
    for i in range(4):
        writer.function(f"inner_{i}", False)
    for i in range(4):
        writer.function(f"outer_{i}", True)
    scope = {**globals(), "__name__": "written"}
    exec(compile("\n".join(writer.lines), "written.py", "exec"), scope)
    shared = [threading.RLock() for _ in range(SHARED)]
    locks = list(shared)
    if how == "trace":
        threading.settrace(lambda frame, event, argument: None)
    if how == "profile":
        threading.setprofile(lambda frame, event, argument: None)
    if how == "monitor" and hasattr(sys, "monitoring"):
        sys.monitoring.use_tool_id(0, "fuzz")
        sys.monitoring.register_callback(0, sys.monitoring.events.LINE, lambda code, line: None)
        sys.monitoring.set_events(0, sys.monitoring.events.LINE)
    if how == "opcodes" and hasattr(sys, "monitoring"):
        events = sys.monitoring.events
        sys.monitoring.use_tool_id(0, "fuzz")
        sys.monitoring.register_callback(0, events.INSTRUCTION, lambda code, offset: None)
        sys.monitoring.set_events(0, events.INSTRUCTION | events.LINE | events.CALL | events.PY_RETURN)
    sys.setswitchinterval(0.0005)
    for i in range(4):
        own = [threading.RLock() for _ in range(OWN)]
        locks += own
        own.append(threading.Condition(own[0]))
        threading.Thread(target=run, args=(scope[f"outer_{i}"], own, shared), daemon=True).start()
    print(*map(id, locks), flush=True)
    os.read(0, 1)
    os._exit(0)


main()
