#!/usr/bin/env python3
"""Who may include whom: reads the #include lines of every room and compares them with the table below.

    layering_test.py ROOT           the tree must keep to the table
    layering_test.py --self-test    the check must find each kind of offence
"""

import pathlib
import re
import sys
import tempfile

# What a room may include of the others; of itself it may include everything. `analysis` and `render` are rooms
# of their own inside of report: what a fact means must not depend on how it is shown.
ATTACH_DATA = {
    "attach/thread_state.h",
    "attach/address.h",
    "attach/process.h",
    "attach/result.h",
    "attach/shared_text.h",
}
FACTS = {"unwinder/native_stack.h", "pyframes/python_state.h"}
MAY_INCLUDE = {
    "attach": set(),
    "unwinder": {"attach/"},
    "pyframes": {"attach/"},
    "report/analysis": ATTACH_DATA | FACTS | {"report/snapshot.h"},
    "report/render": ATTACH_DATA | {"report/document.h", "report/text_encoding.h", "report/snapshot.h",
                                    "report/analysis/"},
    "report": ATTACH_DATA | FACTS | {"report/analysis/"},
    "cli": {"attach/", "unwinder/", "pyframes/", "report/"},
}

# Headers that only these may include: the libraries and the calls that a room is there to keep to itself.
ONLY_IN = {
    r"sys/ptrace\.h|sys/uio\.h|sys/user\.h|linux/openat2\.h": ["attach/"],
    r"libelf\.h|gelf\.h": ["attach/", "unwinder/"],
    r"elfutils/.*|dwarf\.h|libunwind.*|cxxabi\.h": ["unwinder/"],
    r"nlohmann/.*": ["report/render/json"],
    r"CLI/.*": ["cli/"],
    r"gtest/.*|gmock/.*": [],
    r"Python\.h|internal/.*": [],
}

# No room but these opens files or asks the kernel of its own accord.
SYSTEM_CALLS = r"fcntl\.h|unistd\.h|dirent\.h|sys/(stat|mman|wait|prctl|socket)\.h|signal\.h"
SYSTEM_ROOMS = ["attach/", "unwinder/", "cli/"]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    """The innermost room that holds the path."""
    rooms = [room for room in MAY_INCLUDE if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def offences(root):
    """(what is wrong, how many files were read)"""
    found = []
    files = [path for room in MAY_INCLUDE if "/" not in room for path in sorted((root / room).rglob("*"))
             if path.suffix in (".h", ".cpp")]
    for path in files:
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        for bracket, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if bracket == '"':
                target = room_of(header)
                allowed = target == room or any(
                    header == may or (may.endswith("/") and header.startswith(may)) for may in MAY_INCLUDE[room])
                if target is None or not (root / header).is_file():
                    found.append(f'{name}: "{header}" is no header of the tree by its path from the root')
                elif not allowed:
                    found.append(f"{name}: {room} may not include {header}")
            else:
                for pattern, owners in ONLY_IN.items():
                    if re.fullmatch(pattern, header) and not name.startswith(tuple(owners)):
                        found.append(f"{name}: <{header}> belongs to {' and '.join(owners) or 'nobody'}")
                if re.fullmatch(SYSTEM_CALLS, header) and not name.startswith(tuple(SYSTEM_ROOMS)):
                    found.append(f"{name}: <{header}> asks the kernel, and {room} has no business with it")
    return found, len(files)


def self_test():
    """Each offence alone must be found, and the innocent lines beside it must not."""
    cases = {
        "attach/a.h": '#include "pyframes/p.h"',
        "unwinder/u.cpp": '#include "pyframes/p.h"',
        "pyframes/q.cpp": '  #  include "unwinder/native_stack.h"',
        "report/analysis/w.cpp": '#include "report/render/text.h"',
        "report/analysis/x.cpp": '#include "attach/memory.h"',
        "report/analysis/y.cpp": "#include <nlohmann/json.hpp>",
        "report/render/text.cpp": "#include <nlohmann/json.hpp>",
        "report/render/z.cpp": "#include <fcntl.h>",
        "report/compose.cpp": '#include "report/render/text.h"',
        "pyframes/r.cpp": "#include <sys/ptrace.h>",
        "cli/c.cpp": "#include <gtest/gtest.h>",
        "cli/d.cpp": '#include "options.h"',
    }
    innocent = {
        "attach/memory.h": "#include <sys/uio.h>",
        "pyframes/p.h": '#include "attach/memory.h"\n// #include "unwinder/native_stack.h"',
        "unwinder/native_stack.h": '#include "attach/address.h"',
        "attach/address.h": "",
        "report/render/text.h": '#include "report/analysis/findings.h"',
        "report/render/json_read.cpp": "#include <nlohmann/json.hpp>",
        "report/analysis/findings.h": "#include <string>",
    }
    failed = False
    for name, line in [(None, "")] + list(cases.items()):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in (innocent | ({name: line} if name else {})).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text + "\n", encoding="utf-8")
            found, _ = offences(root)
            right = len(found) == 1 and found[0].startswith(name) if name else not found
            if not right:
                print(f"{name}: {line!r} gave {found}")
                failed = True
    print("the self-test failed" if failed else f"{len(cases)} offences found")
    return 1 if failed else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    found, count = offences(pathlib.Path(arguments[0]))
    for offence in found:
        print(offence)
    print(f"{count} files read, {len(found)} offences")
    return 1 if found or count < 40 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
