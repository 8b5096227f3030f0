"""Variables that hold what free-threaded builds and those from 3.14 on keep as tagged words: references that are
deferred (functions, classes, modules), borrowed from the caller or to what never dies, next to counted ones; and
loops whose place in a list stands on the value stack as a number (3.15)."""

import os
import sys

import scene


class Kind:
    def method(self):
        return self


def function():
    return None


def deferred():
    kind, plain, module, builtin, code = Kind, function, os, len, function.__code__
    bound, slot, name = Kind().method, Kind.method, __name__
    os.read(scene.NEVER, 1)
    return locals()


def immortal():
    nothing, yes, no, more, empty_tuple, empty_text = None, True, False, Ellipsis, (), ""
    letter, small, least, interned, literal = "a", 256, -5, sys.intern("interned"), (1, "two")
    os.read(scene.NEVER, 1)
    return locals()


def counted():
    number, fraction, text, data = int("123456789"), float("0.25"), "".join(["made", " here"]), bytes([1, 2])
    items, kinds = [int("1000"), "x"], [Kind, function]
    os.read(scene.NEVER, 1)
    return locals()


def borrowed(number, text, items, kind):
    os.read(scene.NEVER, 1)
    return number, text, items, kind


def lend():
    number, text, items, kind = int("987654321"), "".join(["len", "t"]), [int("300")], Kind
    borrowed(number, text, items, kind)
    return number, text, items, kind


def loops():
    total = 0
    for outer in [int("5000"), int("5001")]:
        for inner in (int("6000"), int("6001")):
            for turn in range(7000, 7002):
                total += turn
                if (outer, inner, turn) == (5001, 6001, 7001):
                    os.read(scene.NEVER, 1)
    return total


def comprehension():
    return [each for each in [int("8000"), int("8001")] if each == 8001 and os.read(scene.NEVER, 1)]


def handler():
    fail = int("9000")
    for place in [int("9100")]:
        try:
            raise KeyError(fail)
        except KeyError:
            try:
                os.read(scene.NEVER, 1)
            finally:
                place = None
    return fail


def deleted():
    gone, kept = int("1234"), int("4321")
    del gone
    os.read(scene.NEVER, 1)
    return kept


def in_generator():
    def generate(number):
        for each in [number]:
            os.read(scene.NEVER, 1)
            yield each

    inside = generate(int("7654"))
    return next(inside)


def called_by_name(**options):
    first, *rest = options.values()
    os.read(scene.NEVER, 1)
    return first, rest


def at(what, value):
    return "<{} at {:#x}>".format(what, id(value))


for each in (deferred, immortal, counted, lend, loops, comprehension, handler, deleted, in_generator):
    scene.thread(each, name=each.__name__)
scene.thread(lambda: called_by_name(one=int("1111"), two=int("2222")), name="called_by_name")
scene.ready(
    locals={
        "deferred": {
            "kind": "<class '__main__.Kind'>", "plain": at("function function", function),
            "module": at("module os", os), "builtin": at("builtin_function_or_method", len),
            "code": at("code", function.__code__), "slot": at("function Kind.method", Kind.method),
            "name": "'__main__'",
        },
        "immortal": {
            "nothing": "None", "yes": "True", "no": "False", "more": "Ellipsis", "empty_tuple": "()",
            "empty_text": "''", "letter": "'a'", "small": "256", "least": "-5", "interned": "'interned'",
            "literal": "(1, 'two')",
        },
        "counted": {
            "number": "123456789", "fraction": "0.25", "text": "'made here'", "data": "b'\\x01\\x02'",
            "items": "[1000, 'x']",
        },
        "lend": {"number": "987654321", "text": "'lent'", "items": "[300]"},
        "loops": {"outer": "5001", "inner": "6001", "turn": "7001"},
        "handler": {"fail": "9000", "place": "9100"},
        "deleted": {"kept": "4321"},
        "in_generator": {"number": "7654", "each": "7654"},
        "called_by_name": {"first": "1111", "rest": "[2222]"},
    },
)
