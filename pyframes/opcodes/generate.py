#!/usr/bin/python3
"""Writes the table of one minor version's opcodes, as far as the readers know them: generate.py > cpython_3_N.h

Run by the interpreter that the table is of. What an instruction is (specialised and instrumented forms are what they
were made from), how many words of inline cache follow it, and, where methods are looked up as attributes, what it does
to the depth of the value stack. tests/layouts/opcode_test.py compares every table with
every interpreter found.
"""

import dis
import opcode
import sys

KINDS = {
    "EXTENDED_ARG": "extended_arg",
    "LOAD_FAST": "load_fast",
    "LOAD_FAST_BORROW": "load_fast",
    "LOAD_FAST_CHECK": "load_fast",
    "LOAD_CLOSURE": "other",
    "LOAD_FAST_LOAD_FAST": "load_fast_pair",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": "load_fast_pair",
    "STORE_FAST_LOAD_FAST": "load_fast_pair",
    "LOAD_GLOBAL": "load_global",
    "LOAD_NAME": "load_name",
    "LOAD_DEREF": "load_deref",
    "LOAD_CLASSDEREF": "load_deref",
    "LOAD_ATTR": "load_attr",
    "LOAD_METHOD": "load_method",
    "CALL": "call",
    "CALL_KW": "call",
    "CALL_METHOD": "call",
    "CALL_FUNCTION": "call",
    "CALL_FUNCTION_KW": "call",
    "CALL_FUNCTION_EX": "call",
    "NOP": "nop",
    "NOT_TAKEN": "nop",
    "CACHE": "nop",
    "JUMP_FORWARD": "jump_forward",
    "JUMP_BACKWARD": "jump_backward",
    "JUMP_BACKWARD_NO_INTERRUPT": "jump_backward",
    "RERAISE": "reraise",
    "END_FINALLY": "reraise",
    "ENTER_EXECUTOR": "executor",
    "POP_TOP": "drop",
    "DELETE_FAST": "drop",
    "DELETE_NAME": "drop",
    "DELETE_GLOBAL": "drop",
    "DELETE_DEREF": "drop",
    "DELETE_ATTR": "drop",
    "DELETE_SUBSCR": "drop",
    "STORE_FAST": "drop",
    "STORE_FAST_STORE_FAST": "drop",
    "STORE_NAME": "drop",
    "STORE_GLOBAL": "drop",
    "STORE_DEREF": "drop",
    "STORE_ATTR": "drop",
    "STORE_SUBSCR": "drop",
}
EVENTS = {"INSTRUMENTED_LINE": "line_event", "INSTRUMENTED_INSTRUCTION": "instruction_event"}


UNKNOWN_EFFECT = 127  # opcodes.h


def stack_effects(opmap):
    """(effect with an argument of 0, more for each unit of it), by opcode."""
    effects, slopes = [UNKNOWN_EFFECT] * 256, [0] * 256
    for name, number in opmap.items():
        try:
            if number < opcode.HAVE_ARGUMENT:
                effects[number] = dis.stack_effect(number)
                continue
            if name == "CALL_FUNCTION_EX":  # the argument is a flag
                effects[number] = dis.stack_effect(number, 0)
                slopes[number] = dis.stack_effect(number, 1) - effects[number]
                continue
            one, two, three = (dis.stack_effect(number, argument) for argument in (1, 2, 3))
        except ValueError:
            continue
        if three - two == two - one:
            effects[number], slopes[number] = one - (two - one), two - one
    return effects, slopes


def rows(values):
    return ["        " + ", ".join(map(str, values[start : start + 16])) + "," for start in range(0, 256, 16)]


def main():
    opmap = {name: number for name, number in getattr(dis, "_all_opmap", opcode.opmap).items() if number < 256}
    opmap.update({name: number for name, number in opcode.opmap.items() if number < 256})
    bases = dict(getattr(dis, "deoptmap", {}))
    caches = getattr(dis, "_inline_cache_entries", None)
    kinds, words = ["other"] * 256, [0] * 256
    for name, number in opmap.items():
        base = bases.get(name, name)
        if base not in opcode.opmap and "__" in base:
            base = base.split("__")[0]  # 3.11, 3.12: one instruction that runs two, of which the second stands as it was
        if name.startswith("INSTRUMENTED_"):
            base = name[len("INSTRUMENTED_") :]
        if name in EVENTS:
            kinds[number] = EVENTS[name]
            continue
        kinds[number] = KINDS.get(base, "other")
        if base.startswith(("POP_JUMP", "JUMP_IF")):
            kinds[number] = "branch"
        if caches is not None:
            words[number] = caches.get(base, 0) if hasattr(caches, "get") else caches[opcode.opmap.get(base, 0)]
    minor = sys.version_info[1]
    lines = [
        f"// The opcodes of CPython 3.{minor}: what the readers know each as, and the words of cache that follow it.",
        "// Written by pyframes/opcodes/generate.py; do not edit.",
        "#pragma once",
        "",
        '#include "pyframes/opcodes.h"',
        "",
        "namespace pythreads::pyframes::opcode_tables {",
        "",
        "// clang-format off",
        f"inline constexpr OpcodeTable cpython_3_{minor}{{",
        f"    .minor = {minor},",
        "    .kinds = {",
    ]
    names = ["other", "extended_arg", "load_fast", "load_fast_pair", "load_global", "load_name", "load_deref", "load_attr",
             "load_method", "call", "nop", "jump_forward", "jump_backward", "branch", "reraise", "executor",
             "line_event", "instruction_event", "drop"]
    lines += rows([names.index(each) for each in kinds])
    lines += ["    },", "    .caches = {", *rows(words)]
    # From 3.11 on the index of a global's name is shifted by a bit, from 3.12 on an attribute's too.
    lines += [
        "    },",
        f"    .global_shift = {1 if minor >= 11 else 0},",
        f"    .attribute_shift = {1 if minor >= 12 else 0},",
    ]
    if "LOAD_METHOD" not in opmap and minor < 12:
        effects, slopes = stack_effects(opmap)
        lines += ["    .methods_are_attributes = true,", "    .stack_effects = {", *rows(effects)]
        lines += ["    },", "    .stack_effects_per_unit = {", *rows(slopes), "    },"]
    lines += [
        "};",
        "// clang-format on",
        "",
        "}  // namespace pythreads::pyframes::opcode_tables",
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
