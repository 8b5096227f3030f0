#!/usr/bin/env python3
"""Compares the committed layout tables with the DWARF of every interpreter on this machine.

    layout_test.py PRINT_LAYOUT [unittest arguments]

Asked is what a process of that version would get (find_layout), not a file: the choice of the row is
tested with it. An interpreter without DWARF can't be compared and is named at the end.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "pyframes" / "layouts"))
import generate  # noqa: E402

PRINT_LAYOUT = sys.argv.pop(1) if len(sys.argv) > 1 else ""


def committed_layout(version, debug, free_threaded, trace_refs=False):
    """The table that find_layout chooses, as {"group.member": value}; None if there is none."""
    words = {"debug": debug, "free-threaded": free_threaded, "linked-objects": has_links(version, trace_refs)}
    command = [PRINT_LAYOUT, version, *(word for word, is_meant in words.items() if is_meant)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def has_links(version, trace_refs):
    """Whether Py_TRACE_REFS, with which a build was made, is seen in its objects (linked_objects.h)."""
    return trace_refs and int(version.split(".")[1]) < 13


def enumerators():
    """{"FrameStyle::cframe": 1, …} as runtime_layout.h declares them."""
    text = re.sub(r"//.*", "", generate.HEADER.read_text(encoding="utf-8"))
    found = {}
    for name, body in re.findall(r"enum class (\w+)[^{]*\{([^}]*)\}", text):
        for value, word in enumerate(filter(None, (part.strip() for part in body.split(",")))):
            found[f"{name}::{word}"] = value
    return found


def flat(layout):
    """What generate.py read from DWARF, in the shape of committed_layout."""
    numbers = enumerators()
    values = {}
    for group, members in layout.items():
        for member, value in members.items():
            value = numbers.get(value, value) if isinstance(value, str) else value
            values[f"{group}.{member}"] = int(value) if isinstance(value, bool) else value
    return values


def differences(committed, dwarf):
    """Lines, one for each value that is not the same on both sides or stands on one side only."""
    lines = []
    for path in sorted(set(committed) | set(dwarf)):
        if path == "source" or committed.get(path, "nothing") == dwarf.get(path, "nothing"):
            continue
        lines.append(f"{path}: table {committed.get(path, 'nothing')}, DWARF {dwarf.get(path, 'nothing')}")
    return lines


# A patch release may move the ends of these; no reader goes there, and 3.13 on tells the rest itself.
MAY_MOVE = ("interpreter.size", "runtime.size")


class Tables(unittest.TestCase):
    def compare(self, name, build, layout, trace_refs=False):
        """Fails if the table that the build gets is not what DWARF says; returns the line to print."""
        version, debug, free_threaded = build
        committed = committed_layout(version, debug, free_threaded, trace_refs)
        self.assertIsNotNone(committed, f"there is no table for {name}")
        lines = differences(committed, flat(layout))
        if committed["source"] != generate.spoken(build):
            lines = [line for line in lines if not line.startswith(MAY_MOVE)]
        self.assertEqual(lines, [], f"{name} ({version}) against {committed['source']}")
        return f"{name} ({version}) = {committed['source']}"

    def test_every_table_agrees_with_dwarf(self):
        compared, without_dwarf = [], []
        headers = generate.headers_here()
        for build, each in generate.interpreters_here():
            with self.subTest(each["name"]):
                layout = generate.read_interpreter(each)
                if layout is None:
                    without_dwarf.append(each["name"])
                    continue
                compared.append(self.compare(each["name"], build, layout, each.get("trace_refs", False)))
                without_gil = (build[0], False, True)
                if without_gil in headers and not build[1]:
                    layout = generate.read_headers(without_gil, headers[without_gil], layout)
                    compared.append(self.compare(each["name"] + "t, by its headers", without_gil, layout))
        print("compared:", "; ".join(compared) or "none")
        print("without DWARF, not compared:", ", ".join(without_dwarf) or "none")
        self.assertTrue(compared, "nothing was compared: fetch.py brings interpreters with DWARF")

    def test_a_wrong_table_is_seen(self):
        committed = committed_layout("3.9.2", False, False)
        wrong = dict(committed)
        wrong["thread_state.frame"] += 8
        del wrong["code.co_name"]
        self.assertEqual(len(differences(wrong, {k: v for k, v in committed.items() if k != "source"})), 2)
        self.assertTrue(differences(committed, flat_of("3.13.5")))

    def test_which_row_a_version_gets(self):
        expected = {
            ("3.6.0", False): "CPython v3.6.15",
            ("3.7.17", False): "CPython v3.7.16",
            ("3.8.0", False): "CPython v3.8.18",
            ("3.8.10", True): "CPython v3.8.18",
            ("3.9.7", False): "CPython v3.9.2",
            ("3.9.19", False): "CPython v3.9.18",
            ("3.9.19", True): "CPython v3.9.2 (debug build)",
            ("3.12.9", True): "CPython v3.12.1",
            ("3.13.4", False): "CPython v3.13.0",
            ("3.13.18", False): "CPython v3.13.5",
        }
        for (version, debug), source in expected.items():
            with self.subTest(version, debug=debug):
                self.assertEqual(committed_layout(version, debug, False)["source"], source)
        self.assertEqual(committed_layout("3.14.0", True, True)["source"], "CPython v3.14.10 (free-threaded)")
        for version, in_one_size in (("3.12.13", True), ("3.13.2", True), ("3.13.3", False), ("3.14.0", False)):
            with self.subTest(version, what="line data"):
                table = committed_layout(version, False, False)
                self.assertEqual(table["line_data.original_opcode"] >= 0, in_one_size)
        self.assertIsNone(committed_layout("3.12.1", False, True))
        for version in ("2.7.18", "3.5.10", "3.16.0", "4.8.0"):
            with self.subTest(version):
                self.assertIsNone(committed_layout(version, False, False))
        for version in ("3.6.15", "3.7.16"):
            with self.subTest(version, what="Py_DEBUG is Py_TRACE_REFS to 3.7"):
                self.assertEqual(committed_layout(version, True, False), committed_layout(version, True, False, True))
        self.assertIsNone(committed_layout("3.12.1", False, True, True))

    def test_links_move_objects_and_nothing_else(self):
        """linked_objects.h names the groups that are objects; here they are those that CPython's own names tell."""
        objects = [group for group, (names, _) in generate.STRUCTS.items() if is_object(names)]
        for version in ("3.6.15", "3.8.18", "3.12.1"):
            plain, linked = committed_layout(version, False, False), committed_layout(version, False, False, True)
            moved = {path.split(".")[0] for path in differences(plain, linked) for path in [path.split(":")[0]]}
            with self.subTest(version):
                self.assertEqual(moved, {group for group in objects if any_field(plain, group)})


def is_object(names):
    """Whether a struct is a PyObject by its name, or one of those that are called otherwise."""
    called_otherwise = {"struct _frame", "struct _PyWeakReference"}
    return any(re.fullmatch(r"Py\w*Object", name) or name in called_otherwise for name in names)


def any_field(layout, group):
    return any(path.startswith(group + ".") and value not in (-1, 0) for path, value in layout.items())


def flat_of(version):
    return {path: value for path, value in committed_layout(version, False, False).items() if path != "source"}


if __name__ == "__main__":
    if not os.access(PRINT_LAYOUT, os.X_OK):
        sys.exit("usage: layout_test.py PRINT_LAYOUT [unittest arguments]")
    unittest.main()
