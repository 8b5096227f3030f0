#!/usr/bin/python3
"""Writes the table of one minor version's opcodes, as far as the readers know them: generate.py > cpython_3_N.h

Run by the interpreter that the table is of. What an instruction is (specialised and instrumented forms are what they
were made from), and how many words of inline cache follow it. tests/layouts/opcode_test.py compares every table with
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
    for start in range(0, 256, 16):
        lines.append("        " + ", ".join(str(names.index(each)) for each in kinds[start : start + 16]) + ",")
    lines += ["    },", "    .caches = {"]
    for start in range(0, 256, 16):
        lines.append("        " + ", ".join(map(str, words[start : start + 16])) + ",")
    # From 3.11 on the index of a global's name is shifted by a bit, from 3.12 on an attribute's too.
    lines += [
        "    },",
        f"    .global_shift = {1 if minor >= 11 else 0},",
        f"    .attribute_shift = {1 if minor >= 12 else 0},",
        "};",
        "// clang-format on",
        "",
        "}  // namespace pythreads::pyframes::opcode_tables",
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
