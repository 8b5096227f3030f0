#!/usr/bin/env python3
"""Writes the layout tables (cpython_3_*.h) from the DWARF of interpreters: generate.py [--write [NAME…]]

    generate.py FILE [--debug-files FOLDER]   prints the layout that FILE's DWARF gives, as JSON
    generate.py --write                       writes every table whose interpreters are on this machine
    generate.py --fields                      prints runtime_layout.h's fields as a C++ X-macro list

What a table holds is declared in runtime_layout.h alone; it is parsed here, so that a field added there is
either found in DWARF (under its own name, or one of the names in STRUCTS) or absent, and its width is
checked against its type. Needs gdb (with Python), clang-format, and for --write the interpreters that
tests/interpreters finds. Free-threaded builds, which no distribution packages, are read by way of headers
(probe.c).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parent / "runtime_layout.h"

# Where each group of RuntimeLayout comes from: CPython's names of the struct, newest first, and the paths of
# those fields whose path is not their name. A field with several paths takes the first that exists.
STRUCTS = {
    "object": (["PyObject", "struct _object"], {"ob_refcnt": ["ob_refcnt_full", "ob_refcnt"]}),
    "type": (["PyTypeObject", "struct _typeobject"], {}),
    "heap_type": (["PyHeapTypeObject", "struct _heaptypeobject"], {}),
    "unicode": (
        ["PyASCIIObject"],
        {"kind": ["state.kind"], "compact": ["state.compact"], "ascii": ["state.ascii"]},
    ),
    "compact_unicode": (["PyCompactUnicodeObject"], {}),
    "legacy_unicode": (["PyUnicodeObject"], {}),
    "bytes": (["PyBytesObject"], {"ob_size": ["ob_base.ob_size"]}),
    "integer": (
        ["PyLongObject", "struct _longobject"],
        {
            "ob_size": ["ob_base.ob_size"],
            "lv_tag": ["long_value.lv_tag"],
            "ob_digit": ["long_value.ob_digit", "ob_digit"],
        },
    ),
    "floating": (["PyFloatObject"], {}),
    "tuple": (["PyTupleObject"], {"ob_size": ["ob_base.ob_size"]}),
    "list": (["PyListObject"], {"ob_size": ["ob_base.ob_size"]}),
    "set": (["PySetObject"], {}),
    "dict": (["PyDictObject"], {}),
    "dict_keys": (["struct _dictkeysobject"], {}),
    "dict_entry": (["PyDictKeyEntry"], {}),
    "dict_unicode_entry": (["PyDictUnicodeEntry"], {}),
    "dict_values": (["struct _dictvalues"], {}),
    "code": (
        ["PyCodeObject", "struct PyCodeObject"],
        {
            "co_linetable": ["co_linetable", "co_lnotab"],
            "co_monitoring": ["_co_monitoring"],
            "co_firsttraceable": ["_co_firsttraceable"],
        },
    ),
    "monitoring_data": (["_PyCoMonitoringData", "struct _PyCoMonitoringData"], {}),
    "line_data": (["_PyCoLineInstrumentationData", "struct _PyCoLineInstrumentationData"], {}),
    "frame_object": (["struct _frame"], {}),
    "try_block": (["PyTryBlock"], {}),
    "interpreter_frame": (
        ["struct _PyInterpreterFrame"],
        {
            "f_executable": ["f_executable", "f_code"],
            "f_funcobj": ["f_funcobj", "f_func"],
            "instr_ptr": ["instr_ptr", "prev_instr"],
        },
    ),
    "cframe": (["struct _PyCFrame", "struct _cframe"], {}),
    "thread_state": (
        ["struct _ts"],
        {
            "status_active": ["_status.active"],
            "status_holds_gil": ["_status.holds_gil"],
            "status_finalizing": ["_status.finalizing"],
        },
    ),
    "err_stack_item": (["struct _err_stackitem"], {}),
    "stack_chunk": (["struct _stack_chunk"], {}),
    "interpreter": (
        ["struct _is"],
        {
            "threads_head": ["threads.head", "tstate_head"],
            "threads_main": ["threads.main"],
            "modules": ["imports.modules", "modules"],
            "ceval_gil": ["ceval.gil"],
            "own_gil": ["ceval.own_gil"],
            "gil_drop_request": ["ceval.gil_drop_request"],
            "finalizing_flag": ["finalizing"],
            "finalizing": ["_finalizing"],
            "gc_collecting": ["gc.collecting"],
            "gc_frame": ["gc.frame"],
            "stoptheworld_requested": ["stoptheworld.requested"],
            "stoptheworld_world_stopped": ["stoptheworld.world_stopped"],
            "stoptheworld_stop_event": ["stoptheworld.stop_event"],
            "stoptheworld_requester": ["stoptheworld.requester"],
        },
    ),
    "runtime": (
        ["struct pyruntimestate"],
        {
            "interpreters_head": ["interpreters.head"],
            "interpreters_main": ["interpreters.main"],
            "main_thread": ["main_thread", "ceval.pending.main_thread"],
            "finalizing": ["_finalizing", "finalizing"],
            "gilstate_tstate_current": ["gilstate.tstate_current"],
            "ceval_gil": ["ceval.gil"],
            "gc_collecting": ["gc.collecting"],
            "thread_handles": ["threads.handles.next"],
            "stoptheworld_requested": ["stoptheworld.requested"],
            "stoptheworld_is_global": ["stoptheworld.is_global"],
            "stoptheworld_stop_event": ["stoptheworld.stop_event"],
            "stoptheworld_requester": ["stoptheworld.requester"],
        },
    ),
    "gil": (["struct _gil_runtime_state"], {"cond_size": ["cond"], "mutex_size": ["mutex"]}),
    "generator": (["PyGenObject"], {}),
    "method": (["PyMethodObject"], {}),
    "builtin_function": (["PyCFunctionObject"], {}),
    "method_def": (["struct PyMethodDef"], {}),
    "function": (["PyFunctionObject"], {}),
    "cell": (["PyCellObject"], {}),
    "module": (["PyModuleObject"], {}),
    "weak_reference": (["struct _PyWeakReference"], {}),
    "base_exception": (["PyBaseExceptionObject"], {}),
    "traceback": (["PyTracebackObject", "struct _traceback"], {}),
    "thread_handle_object": (["PyThreadHandleObject"], {}),
    "thread_handle": (["ThreadHandle"], {}),
    "wait_entry": (["struct wait_entry"], {"next": ["node.next"], "prev": ["node.prev"]}),
}

# Structs in the place of a field: only where they begin is asked.
EMBEDDED = {"f_blockstack", "gi_iframe", "sema", "stoptheworld_stop_event", "thread_is_exiting"}

WIDTHS = {
    "PointerField": 8,
    "SizeField": 8,
    "IntField": 4,
    "ByteField": 1,
    "Field<std::uint64_t>": 8,
    "Field<std::int64_t>": 8,
    "Field<std::uint32_t>": 4,
    "Field<std::uint16_t>": 2,
    "Field<std::uint8_t>": 1,
    "Field<double>": 8,
}

# Which tables there are. Each file has one whole table, of the first build, and what differs from it in the
# others. (version, debug, free-threaded)
TABLES = {
    "3.6": [("3.6.15", False, False)],
    "3.7": [("3.7.16", False, False)],
    "3.8": [("3.8.18", False, False)],
    "3.9": [("3.9.18", False, False), ("3.9.2", False, False), ("3.9.2", True, False)],
    "3.10": [("3.10.13", False, False)],
    "3.11": [("3.11.7", False, False)],
    "3.12": [("3.12.1", False, False)],
    "3.13": [("3.13.0", False, False), ("3.13.5", False, False), ("3.13.5", True, False), ("3.13.5", False, True)],
    "3.14": [("3.14.10", False, False), ("3.14.10", True, False), ("3.14.10", False, True)],
    "3.15": [("3.15.2", False, False), ("3.15.2", True, False), ("3.15.2", False, True)],
}

# Structs that only .c files define, and that hold no object: the same with and without the GIL.
WITHOUT_OBJECT_HEAD = ("thread_handle", "wait_entry")


class LayoutError(Exception):
    """DWARF that can't be read, or that contradicts what runtime_layout.h declares."""


# --- runtime_layout.h ---------------------------------------------------------------------------------------


def declared_layout(header=HEADER):
    """The groups of RuntimeLayout with their (type, member) pairs, in the order of declaration."""
    text = re.sub(r"//.*", "", header.read_text(encoding="utf-8"))
    body = text[text.index("struct RuntimeLayout {") :]
    groups = {}
    for members, name in re.findall(r"struct \{(.*?)\} (\w+)\{\};", body, re.S):
        fields = []
        for statement in filter(None, (part.strip() for part in members.split(";"))):
            match = re.fullmatch(r"([\w:]+(?:<[\w:]+>)?)\s+([\w,\s]+)", statement)
            if not match:
                raise LayoutError(f"{header.name}: can't read {statement!r} of {name}")
            fields += [(match[1], member.strip()) for member in match[2].split(",")]
        groups[name] = fields
    if set(groups) != set(STRUCTS):
        raise LayoutError(f"{header.name} and STRUCTS differ in {sorted(set(groups) ^ set(STRUCTS))}")
    return groups


def paths_of(group, member):
    return STRUCTS[group][1].get(member, [member])


# --- DWARF --------------------------------------------------------------------------------------------------


def ask_gdb(file, debug_files, request):
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, LAYOUT_REQUEST=f"{folder}/request", LAYOUT_ANSWER=f"{folder}/answer")
        environment.pop("DEBUGINFOD_URLS", None)
        pathlib.Path(folder, "request").write_text(json.dumps(request), encoding="utf-8")
        command = ["gdb", "-batch", "-nx", "-iex", f"set debug-file-directory {debug_files}"]
        command += ["-iex", "set auto-load off", str(file), "-x", str(HERE / "read_dwarf.py")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        answer = pathlib.Path(folder, "answer")
        if not answer.exists():
            raise LayoutError(f"gdb gave no answer for {file}: {done.stderr.strip()[-300:]}")
        return json.loads(answer.read_text(encoding="utf-8"))


def field_value(group, kind, member, found):
    """What stands in the table for one member: an offset, a size, or (offset, shift, bits)."""
    at = next((found["fields"][path] for path in paths_of(group, member) if path in found["fields"]), None)
    if kind == "std::int32_t":
        return found["size"] if member == "size" else (at["size"] if at else 0)
    if at is None:
        return -1
    if kind == "BitField":
        # The same name is a whole field in other versions.
        return [at["offset"], at["shift"], at["bits"]] if "bits" in at else -1
    if "bits" in at:
        return -1
    width = WIDTHS.get(kind)
    if width and at["size"] != width:
        if at["aggregate"] and member in EMBEDDED:
            return at["offset"]
        raise LayoutError(f"{group}.{member} is {at['size']} bytes ({at['type']}), {kind} says {width}")
    return at["offset"]


def traits(version, answer):
    """What else a reader must know, as runtime_layout.h names it."""
    minor = int(version.split(".")[1])
    fields = {group: set(found["fields"]) for group, found in answer["structs"].items()}
    frame, tstate = fields.get("interpreter_frame", set()), fields["thread_state"]
    constants = answer["constants"]
    owners = [constants[name] for name in SHIM_OWNERS if name in constants]
    localsplus = answer["structs"].get("interpreter_frame", {"fields": {}})["fields"].get("localsplus", {})

    frame_style = "frame_objects"
    if "current_frame" in tstate:
        frame_style = "current_frame"
    elif "current_frame" in fields.get("cframe", set()):
        frame_style = "cframe"
    instruction_style = "unit_index" if minor >= 10 else "byte_index"
    if "prev_instr" in frame:
        instruction_style = "prev_instr"
    elif "instr_ptr" in frame:
        instruction_style = "instr_ptr"
    line_table = "lnotab"
    if "co_linetable" in fields["code"]:
        line_table = "location_table" if minor >= 11 else "linetable"
    entry_style = "every_frame"
    if "is_entry" in frame:
        entry_style = "is_entry"
    elif frame:
        entry_style = "shim_frame"
    attribute_style = {11: "values_before", 12: "tagged_before"}.get(minor, "inline_values")
    if minor <= 10:
        attribute_style = "dict_offset"
    return {
        "frame_style": "FrameStyle::" + frame_style,
        "instruction_style": "InstructionStyle::" + instruction_style,
        "line_table": "LineTable::" + line_table,
        "entry_style": "EntryStyle::" + entry_style,
        "attribute_style": "AttributeStyle::" + attribute_style,
        "tagged_stackrefs": "_PyStackRef" in localsplus.get("type", ""),
        "runtime_in_variables": "runtime" not in fields,
        "free_threaded": "ob_refcnt" not in fields["object"] and "ob_refcnt_full" not in fields["object"],
        "first_shim_owner": min(owners, default=0),
    }


SHIM_OWNERS = ("FRAME_OWNED_BY_CSTACK", "FRAME_OWNED_BY_INTERPRETER")


def read_layout(file, version, debug_files="/usr/lib/debug"):
    """The layout of `version` by the DWARF of `file` or its build-id file; None if it has no DWARF."""
    declared = declared_layout()
    request = {
        "structs": {group: STRUCTS[group][0] for group in declared},
        "fields": {
            group: sorted({path for _, member in members for path in paths_of(group, member)})
            for group, members in declared.items()
        },
        "constants": SHIM_OWNERS,
    }
    answer = ask_gdb(file, debug_files, request)
    if "thread_state" not in answer["structs"]:
        return None
    layout = {"traits": traits(version, answer)}
    for group, members in declared.items():
        found = answer["structs"].get(group, {"size": 0, "fields": {}})
        layout[group] = {member: field_value(group, kind, member, found) for kind, member in members}
    return layout


def dwarf_file(interpreter):
    """(file, folder of build-id files) to ask for an interpreter that tests/interpreters found."""
    root = pathlib.Path(interpreter["root"])
    executable = root / interpreter["executable"].lstrip("/")
    debug_files = root / "usr/lib/debug"
    if root == pathlib.Path("/"):
        libraries = sorted((executable.parent.parent / "lib").glob("libpython3*.so.1.0"))
        if libraries and executable.parent != pathlib.Path("/usr/bin"):
            return libraries[0], debug_files
    return executable, debug_files


# --- the headers --------------------------------------------------------------------------------------------


def identifier(build):
    version, debug, free_threaded = build
    return "cpython_" + version.replace(".", "_") + "t" * free_threaded + "d" * debug


def spoken(build):
    version, debug, free_threaded = build
    kinds = ["free-threaded"] * free_threaded + ["debug build"] * debug
    return f"CPython v{version}" + (f" ({', '.join(kinds)})" if kinds else "")


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def initialiser(kind, value):
    if kind == "std::int32_t":
        return str(value)
    numbers = value if isinstance(value, list) else [value]
    return "{" + ", ".join(map(str, numbers)) + "}"


def present(kind, value):
    return value != (0 if kind == "std::int32_t" else -1)


def whole_table(build, layout, declared):
    lines = [f'inline constexpr RuntimeLayout {identifier(build)} = {{ .source = "{spoken(build)}",']
    lines += [f".{name} = {literal(value)}," for name, value in layout["traits"].items() if value]
    for group, members in declared.items():
        values = [(kind, name, layout[group][name]) for kind, name in members]
        inner = [f".{name} = {initialiser(kind, value)}" for kind, name, value in values if present(kind, value)]
        if inner:
            lines.append(f".{group} = {{ {', '.join(inner)} }},")
    return lines + ["};"]


def differences(layout, base):
    """Pairs of path and values, (other, base), where two layouts differ."""
    return {
        f"{group}.{name}": (value, base[group][name])
        for group, members in layout.items()
        for name, value in members.items()
        if value != base[group][name]
    }


def differing_table(build, layout, base_build, base, declared):
    kinds = {f"{group}.{name}": kind for group, members in declared.items() for kind, name in members}
    lines = [f"inline constexpr RuntimeLayout {identifier(build)} = [] {{"]
    lines += [f"RuntimeLayout layout = {identifier(base_build)};", f'layout.source = "{spoken(build)}";']
    for path, (value, _) in differences(layout, base).items():
        if path.startswith("traits."):
            lines.append(f"layout.{path[7:]} = {literal(value)};")
        else:
            lines.append(f"layout.{path} = {initialiser(kinds[path], value)};")
    return lines + ["return layout;", "}();"]


def header_text(minor, builds, layouts):
    declared = declared_layout()
    guard = [
        f"// Where the structs of CPython {minor} have their fields. Written by generate.py from the DWARF of",
        "// " + ", ".join(spoken(build)[len("CPython ") :] for build in builds) + ".",
        "#pragma once",
        "",
        '#include "pyframes/runtime_layout.h"',
        "",
        "namespace pythreads::pyframes::layouts {",
    ]
    lines = guard
    for build in builds:
        # A free-threaded build differs in nearly every object: it gets a whole table.
        base = next(each for each in builds if each[2] == build[2])
        if build == base:
            lines += ["", *whole_table(build, layouts[build], declared)]
        else:
            lines += ["", *differing_table(build, layouts[build], base, layouts[base], declared)]
    lines += ["", "}  // namespace pythreads::pyframes::layouts"]
    command = ["clang-format", f"--assume-filename={HERE}/table.h"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return done.stdout


def tests_interpreters():
    """The modules interpreters and suites of tests/interpreters."""
    sys.path.insert(0, str(HERE.parent.parent / "tests" / "interpreters"))
    import interpreters  # pylint: disable=import-outside-toplevel,import-error
    import suites  # pylint: disable=import-outside-toplevel,import-error

    return interpreters, suites


def interpreters_here():
    """[((version, debug, free_threaded), interpreter)] of those that tests/interpreters finds."""
    found = tests_interpreters()[0].find_interpreters()
    return [((each["version"], each["debug"], each["free_threaded"]), each) for each in found]


def headers_here():
    """{(version, debug, free_threaded): folder usr/include} of builds that only headers are here for."""
    suites = tests_interpreters()[1]
    found = {}
    for suite in suites.SUITES:
        include = pathlib.Path(suites.tree_dir(suite), "usr/include")
        stamp = suites.read_stamp(suites.tree_dir(suite)) or {"versions": {}}
        for minor, version in stamp["versions"].items():
            if (include / f"python{minor}" / "internal" / "pycore_tstate.h").exists() and int(minor[2:]) >= 13:
                found[(version, False, True)] = include
    return found


def read_interpreter(interpreter):
    file, debug_files = dwarf_file(interpreter)
    return read_layout(file, interpreter["version"], debug_files)


def read_headers(build, include, with_gil):
    """The layout by headers alone; `with_gil` is the layout of the same version's usual build."""
    version = build[0]
    name = "python" + ".".join(version.split(".")[:2])
    machine = f"{os.uname().machine}-linux-gnu"
    folders = [include / name, include / name / "internal", include / name / "internal" / "mimalloc"]
    folders += [include, include / machine / name]
    with tempfile.TemporaryDirectory() as folder:
        command = ["cc", "-c", "-g", "-w", "-fno-eliminate-unused-debug-types", "-DPy_GIL_DISABLED=1"]
        command += [f"-I{each}" for each in folders] + [str(HERE / "probe.c"), "-o", f"{folder}/probe.o"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LayoutError(f"probe.c with {name}'s headers: {done.stderr.strip()[-300:]}")
        layout = read_layout(f"{folder}/probe.o", version)
    if layout is None or with_gil is None:
        return None
    return layout | {group: with_gil[group] for group in WITHOUT_OBJECT_HEAD}


def write_tables():
    interpreters, headers = interpreters_here(), headers_here()
    for minor, builds in TABLES.items():
        path = HERE / f"cpython_{minor.replace('.', '_')}.h"
        layouts = {}
        for build in builds:
            for each in (each for here, each in interpreters if here == build):
                layouts[build] = layouts.get(build) or read_interpreter(each)
            if not layouts.get(build) and build in headers:
                layouts[build] = read_headers(build, headers[build], layouts.get((build[0], False, False)))
        missing = [spoken(build) for build in builds if not layouts.get(build)]
        if missing:
            print(f"{path.name}: left as it is, there is no DWARF here of {', '.join(missing)}", file=sys.stderr)
            continue
        path.write_text(header_text(minor, builds, layouts), encoding="utf-8")
        counts = [f"{identifier(each)}: {len(differences(layouts[each], layouts[builds[0]]))}" for each in builds[1:]]
        print(f"{path.name}: written" + (", differences " + ", ".join(counts) if counts else ""))


def main():
    parser = argparse.ArgumentParser(description="Layout tables from the DWARF of interpreters.")
    parser.add_argument("file", nargs="?", help="an interpreter or a libpython")
    parser.add_argument("--version", default="3.11.0", help="FILE's version")
    parser.add_argument("--debug-files", default="/usr/lib/debug", help="folder with .build-id/")
    parser.add_argument("--write", action="store_true", help="write the tables")
    parser.add_argument("--fields", action="store_true", help="print FIELD(group, member) lines")
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    try:
        if options.fields:
            for group, members in declared_layout().items():
                for kind, name in members:
                    macro = {"std::int32_t": "SIZE", "BitField": "BITS"}.get(kind, "FIELD")
                    print(f"{macro}({group}, {name})")
        elif options.write:
            write_tables()
        elif options.file:
            json.dump(read_layout(options.file, options.version, options.debug_files), sys.stdout, indent=1)
            print()
        else:
            parser.error("nothing to do")
    except LayoutError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
