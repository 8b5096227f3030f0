# -*- coding: utf-8 -*-
"""Names that are no ASCII, no UTF-8, or that would steer a terminal: of functions, files, classes and threads."""

import os
import types

import scene


def größe():
    os.read(scene.NEVER, 1)  # größe


def 数える():
    größe()


class Ñandú:
    def corre(self):
        数える()

    def 走る(self):
        self.corre()


FUNCTION_NAMES = {
    "latin": "caf\xe9",
    "bmp": "\u4e2d\u6587\u20ac",
    "astral": "\U0001f40d\U0001f600",
    "low surrogate": "a\udc80b",
    "high surrogate": "a\ud800b",
    "pair of surrogates": "\ud83d\ude00",
    "escape": "\x1b[2J\x1b]0;title\x07",
    "newline": "one\ntwo\r\nthree",
    "nul": "a\0b",
    "bidi": "a\u202eb\u2066c",
    "separator": "a\u2028b\u2029c\x85d",
    "bom": "\ufeffa",
    "zero width": "a\u200bb",
    "backslash": "a\\x41b",
    "quote": 'a"b\'c',
    "empty": "",
    "space": " ",
    "long": "long" * 200,
    "long wide": "\u4e2d" * 600,
    "too long": "long" * 700,
    "delete": "a\x7fb\x80c\x9fd\xa0e",
}


def with_name(code, name):
    if hasattr(code, "replace"):  # new in 3.8
        return code.replace(co_name=name)
    fields = "argcount kwonlyargcount nlocals stacksize flags code consts names varnames filename name firstlineno lnotab"
    values = {field: getattr(code, "co_" + field) for field in fields.split()}
    return types.CodeType(*{**values, "name": name}.values(), code.co_freevars, code.co_cellvars)


def renamed(name):
    def plain():
        os.read(scene.NEVER, 1)

    code = with_name(plain.__code__, name)
    if hasattr(code, "co_qualname"):
        code = code.replace(co_qualname="Outer." + name)
    return types.FunctionType(code, globals(), name, None, plain.__closure__)


def calls(function):
    function()


THREAD_NAMES = [
    "caf\xe9",
    "\u4e2d\u6587\u20ac",
    "\U0001f40d",
    "a\x1b[31mred\x1b[0m",
    "a\nb (most recent call first):",
    "lone \udcff",
    "lone \ud800",
    "nul \0 in it",
    "",
    "n" * 1000,
    'quote " and \\ backslash',
    "] (most recent call first):",
]

for kind, name in FUNCTION_NAMES.items():
    scene.thread(calls, renamed(name), name="function " + kind)
for name in THREAD_NAMES:
    scene.thread(größe, name=name)
scene.thread(Ñandú().走る, name="class")
scene.ready(lines={"class": ["größe", scene.line("größe")]})
