"""Local variables of every common kind, secrets among them, cells and free variables, large and nested values."""

import collections
import decimal
import os

import scene


class Account:
    def __init__(self, owner):
        self.owner = owner

    def __repr__(self):
        raise AssertionError("repr() of the target was run")


class Slotted:
    __slots__ = ("one",)


def numbers():
    zero, one, negative = 0, 1, -1
    big, bigger, very_negative = 1 << 40, 1 << 200, -(1 << 63)
    half, huge, infinite, undefined = 0.5, 1e300, float("inf"), float("nan")
    yes, no, nothing, complex_one = True, False, None, 1 + 2j
    os.read(scene.NEVER, 1)
    return locals()


def texts():
    empty, plain, latin, wide, astral = "", "plain", "caf\xe9", "\u4e2d\u6587", "\U0001f40d"
    lone, control, quote = "\udcff", "a\x1b[31m\n", "it's \"it\""
    data = b"\x00\xffab"
    array = bytearray(b"abc")
    long_text = "long" * 10000
    os.read(scene.NEVER, 1)
    return locals()


def containers():
    pair, single, none = (1, "two"), (1,), ()
    items = [1, 2, [3, [4, [5, [6, [7]]]]]]
    many = list(range(100000))
    table = {"a": 1, 2: "b", (3, 4): [5]}
    some, frozen = {1}, frozenset([2])
    itself = []
    itself.append(itself)
    queue = collections.deque([1, 2])
    ordered = collections.OrderedDict(a=1)
    cost = decimal.Decimal("1.5")
    os.read(scene.NEVER, 1)
    return locals()


def instances():
    account = Account("ada")
    slotted = Slotted()
    kind = Account
    function = instances
    module = os
    bound = account.__init__
    fail = ValueError("no")
    os.read(scene.NEVER, 1)
    return locals()


def secrets():
    password = "hunter2-in-clear"
    api_token = b"token-in-clear"
    SECRET_KEY = ["key-in-clear"]
    config = {"db_password": "nested-in-clear", "user": "visible-user"}
    os.read(scene.NEVER, 1)
    return locals()


def cells(argument, *rest, key=3, **options):
    shared = "shared value"

    def inner():
        local = "local value"
        os.read(scene.NEVER, 1)
        return shared, argument, local

    return inner()


def unbound():
    os.read(scene.NEVER, 1)
    never = 1
    return never


def deep():
    value = []
    for _ in range(100000):
        value = [value]
    scene_kept.append(value)
    os.read(scene.NEVER, 1)
    return value


scene_kept = []
for each in (numbers, texts, containers, instances, secrets, unbound, deep):
    scene.thread(each, name=each.__name__)
scene.thread(lambda: cells(1, 2, 3, key=4, option=5), name="cells")
scene.ready(
    locals={
        "numbers": {
            "zero": "0",
            "one": "1",
            "negative": "-1",
            "big": str(1 << 40),
            "very_negative": str(-(1 << 63)),
            "half": "0.5",
            "infinite": "inf",
            "undefined": "nan",
            "yes": "True",
            "no": "False",
            "nothing": "None",
        },
        "texts": {"empty": "''", "plain": "'plain'", "latin": "'caf\xe9'", "wide": "'\u4e2d\u6587'"},
        "containers": {"pair": "(1, 'two')", "single": "(1,)", "none": "()"},
        "cells": {"shared": "'shared value'", "argument": "1", "local": "'local value'"},
    },
)
