#!/usr/bin/env python3
"""The version stands in one place, project() of the root's CMakeLists.txt: version_test.py EXECUTABLE MANUALS VERSION

MANUALS is where the build wrote the manual's pages. CHANGELOG.md and the benchmark's results name versions as history.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HISTORY = {"CMakeLists.txt", "CHANGELOG.md", "docs/benchmark.json", "docs/benchmark.md"}
EXECUTABLE, MANUALS, VERSION = sys.argv[1:4]


def places(root, version, left_out):
    """Files that call us by this version, as `file:line`."""
    call = re.compile(r"(?i)pythreads.{0,40}?(?<![\d.])" + re.escape(version) + r"(?![\d.]*\d)")
    found = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".git") and not (folder == str(root) and name == "build")]
        for name in files:
            path = pathlib.Path(folder, name)
            relative = str(path.relative_to(root))
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except (UnicodeDecodeError, OSError):
                continue
            if relative not in left_out:
                found += [f"{relative}:{number}" for number, line in enumerate(lines, 1) if call.search(line)]
    return found


class Version(unittest.TestCase):
    def test_stands_in_one_place(self):
        self.assertEqual([], places(ROOT, VERSION, HISTORY))
        self.assertTrue(places(ROOT, VERSION, HISTORY - {"CMakeLists.txt"}), "the search must find project() itself")

    def test_changes_begin_with_it(self):
        heading = re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
        self.assertEqual(VERSION, heading[1])

    def test_program_says_it(self):
        said = subprocess.run([EXECUTABLE, "--version"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(f"pythreads {VERSION}\n", said)

    def test_manual_says_it(self):
        pages = sorted(pathlib.Path(MANUALS).glob("*.[15]"))
        self.assertGreaterEqual(len(pages), 2)
        for page in pages:
            self.assertIn(f'"pythreads {VERSION}"', page.read_text(encoding="utf-8"), page.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
