"""exec, eval and compile, with file names that no file has and that nobody would choose."""

import os

import scene

FILES = {
    "plain": "made.py",
    "string": "<string>",
    "empty": "",
    "space": "a folder/with spaces.py",
    "quote": 'he said "this".py',
    "apostrophe": "it's.py",
    "line": 'x", line 7 in y',
    "newline": "two\nlines.py",
    "escape": "\x1b[31mred\x1b[0m.py",
    "tab": "a\tb.py",
    "backslash": "C:\\new\\table.py",
    "latin": "caf\xe9.py",
    "wide": "\u4e2d\u6587.py",
    "astral": "\U0001f40d.py",
    "surrogate": "bad\udcff.py",
    "long": "/long/" + "n" * 600 + ".py",
    "nul": "a\0b.py",
    "delete": "a\x7fb\x9b.py",
}


def compiled(source, file, mode):
    code = compile(source, "replaced", mode)
    return code.replace(co_filename=file)


def executes(file):
    source = "def made():\n\n    os.read(scene.NEVER, 1)\nmade()\n"
    code = compiled(source, file, "exec")
    # The function's own code object has a name of its own.
    constants = tuple(
        each.replace(co_filename=file) if isinstance(each, type(code)) else each for each in code.co_consts
    )
    exec(code.replace(co_consts=constants), {"os": os, "scene": scene})


def evaluates(file):
    eval(compiled("\n\n\n(os.read(scene.NEVER, 1))", file, "eval"), {"os": os, "scene": scene, "__name__": None})


def executes_text():
    exec("\nos.read(scene.NEVER, 1)")


def evaluates_text():
    eval("os.read(scene.NEVER, 1)")


def evaluates_nested():
    eval("eval('os.read(scene.NEVER, 1)')")


def far_down():
    """Line numbers that need many bytes in every form of line table."""
    exec("\n" * 70000 + "os.read(scene.NEVER,\n" + "\n" * 300 + "1)")


def many_lines():
    source = "x = 0\n" * 3000 + "os.read(scene.NEVER, 1)\n" + "x = 1\n" * 10
    exec(compile(source, "many_lines.py", "exec"))


def far_right():
    exec("x = " + "(" * 80 + " " * 300 + "os.read(scene.NEVER, 1)" + ")" * 80)


def no_columns():
    code = compile("\nos.read(scene.NEVER, 1)", "no_columns.py", "exec")
    exec(code)


for name, file in FILES.items():
    scene.thread(executes, file, name="exec " + name)
    scene.thread(evaluates, file, name="eval " + name)
for each in (executes_text, evaluates_text, evaluates_nested, far_down, many_lines, far_right, no_columns):
    scene.thread(each, name=each.__name__)
scene.ready()
