"""Run by the interpreter under test: what it says itself about the positions of its code objects.

    write_truth.py FILE…                the code objects of these files
    write_truth.py --stdlib STEP        of every STEP-th file of its own standard library

Two lines for each code object. The first is what line_table.h is given: form, first line, the table as hex
digits, the number of bytes of code. The second is the truth for the instructions -1, 0, 2, 4, …: the line that
PyCode_Addr2Line returns (0: none) and, from 3.11 on, end line and columns as co_positions() has them
(columns from 1, 0: none).
"""

import ctypes
import os
import sys
import types

FORM = "lnotab" if sys.version_info < (3, 10) else "linetable" if sys.version_info < (3, 11) else "location_table"
addr_to_line = ctypes.pythonapi.PyCode_Addr2Line
addr_to_line.restype = ctypes.c_int
addr_to_line.argtypes = [ctypes.py_object, ctypes.c_int]


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def truth(code):
    size = len(code.co_code)
    lines = [max(addr_to_line(code, at), 0) for at in range(0, size, 2)]
    said = [str(max(addr_to_line(code, -1), 0))]
    if FORM != "location_table":
        return said + [str(line) for line in lines]
    for line, (_, end_line, column, end_column) in zip(lines, code.co_positions()):
        columns = [0 if each is None else each + 1 for each in (column, end_column)]
        said.append(f"{line},{end_line or 0},{columns[0]},{columns[1]}")
    return said


def write(path):
    with open(path, "rb") as file:
        source = file.read()
    try:
        module = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return  # the tests of the standard library have files that are wrong on purpose
    for code in code_objects(module):
        table = code.co_lnotab if FORM == "lnotab" else code.co_linetable
        print(FORM, code.co_firstlineno, table.hex() or "-", len(code.co_code))
        print(" ".join(truth(code)))


def stdlib_files():
    for folder, folders, files in os.walk(os.path.dirname(os.__file__)):
        folders[:] = sorted(set(folders) - {"site-packages", "dist-packages", "__pycache__"})
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".py"))


def main(arguments):
    sys.setrecursionlimit(10_000)
    if arguments[0] == "--stdlib":
        arguments = list(stdlib_files())[:: int(arguments[1])]
    for path in arguments:
        write(path)


main(sys.argv[1:])
