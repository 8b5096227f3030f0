#!/usr/bin/python3
"""The parser, --help, the manual and the completions tell one command line: manual_test.py EXECUTABLE MANUALS

MANUALS is where the build wrote the pages. That the comparison finds what is wrong is tried by taking away, one by one,
what each of them tells.
"""

import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import surface  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXECUTABLE = sys.argv[1] if len(sys.argv) > 2 else ""
MANUALS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
PAGES = ("pythreads.1", "pythreads-json.5")


def page(name):
    return (MANUALS / name).read_text(encoding="utf-8")


class CommandLine(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        commands = surface.run(EXECUTABLE, "__complete", "").stdout.splitlines()
        cls.commands = [line.split("\t")[0] for line in commands]
        cls.told = {
            "--help": surface.by_help(EXECUTABLE, cls.commands),
            "completion": surface.by_completion(EXECUTABLE, cls.commands),
            "the manual": surface.by_manual(page("pythreads.1"), cls.commands),
        }
        for options in cls.told["the manual"].values():
            options["--help"] = (None, frozenset())  # told once for all
        written = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "cli").glob("*.cpp")))
        names = set(re.findall(r'"(?:-\w,)?(--[a-z-]+)"', written))
        names |= {name for told in cls.told.values() for options in told.values() for name in options}
        cls.parser = surface.by_parser(EXECUTABLE, cls.commands, names - {"--version"})

    def test_all_tell_the_same(self):
        found = [each for name, told in self.told.items() for each in surface.disagreements(self.parser, told, name)]
        self.assertEqual([], found)
        self.assertGreater(sum(map(len, self.parser.values())), 40)

    def test_whatever_one_leaves_out_is_found(self):
        for name, told in self.told.items():
            for command, options in told.items():
                for option, (need, words) in options.items():
                    wrong = copy.deepcopy(told)
                    del wrong[command][option]
                    self.assertEqual(1, len(surface.disagreements(self.parser, wrong, name)), (name, command, option))
                    if words:
                        wrong[command][option] = (need, words - {sorted(words)[0]})
                        self.assertEqual(1, len(surface.disagreements(self.parser, wrong, name)), (name, command, option))
                    wrong[command][option] = (None if need else "N", words)
                    self.assertEqual(1, len(surface.disagreements(self.parser, wrong, name)), (name, command, option))

    def test_commands(self):
        listed = re.findall(r"(?m)^  ([a-z]+)  ", surface.run(EXECUTABLE, "--help").stdout.partition("Commands:")[2])
        self.assertEqual(self.commands, listed)
        described = surface.section(page("pythreads.1"), "DESCRIPTION")
        self.assertEqual(self.commands, re.findall(r"(?m)^\.B pythreads ([a-z]+)$", described))

    def test_exit_codes(self):
        header = (ROOT / "cli" / "exit_code.h").read_text(encoding="utf-8")
        codes = re.findall(r"(?m)^  \w+ = (\d+),", header)
        self.assertEqual(12, len(codes))
        tables = re.findall(r"(?s)\.TS\n.*?\n(.*?)\.TE", surface.section(page("pythreads.1"), "EXIT STATUS"))
        told, of_check = (re.findall(r"(?m)^(\d+)\t", table) for table in tables)
        self.assertEqual([code for code in codes if code not in ("1", "2", "3")], told)
        self.assertEqual(["0", "1", "2", "3"], of_check)
        general = surface.run(EXECUTABLE, "--help").stdout.partition("Exit codes:")[2].partition("Examples")[0]
        self.assertEqual(told, re.findall(r"(?:^|, *\n? *)\s*(\d+) ", general))
        check = surface.run(EXECUTABLE, "check", "--help").stdout.partition("Exit codes:")[2]
        self.assertEqual(of_check, re.findall(r"(?:^|, )\s*(\d) ", check))


class Json(unittest.TestCase):
    def test_every_field_and_closed_word_is_told(self):
        schema = json.loads((ROOT / "man" / "pythreads.schema.json").read_text(encoding="utf-8"))
        names = set()

        def walk(node):
            if isinstance(node, dict):
                names.update(node.get("properties", {}))
                names.update(each for each in node.get("enum", ()) if isinstance(each, str))
                for each in node.values():
                    walk(each)
            elif isinstance(node, list):
                for each in node:
                    walk(each)

        walk(schema)
        self.assertGreater(len(names), 100)
        told = set(re.findall(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9]+)*", re.sub(r"\\f.|\\\(..", " ", page(PAGES[1]).replace("\\-", "-"))))
        self.assertEqual(set(), names - told)


class Pages(unittest.TestCase):
    def lint(self, *command):
        if shutil.which(command[0]) is None:
            print(f"{command[0]}: not here, the pages are not tried by it", file=sys.stderr)
            self.skipTest(f"{command[0]} is not here")
        for name in PAGES:
            done = subprocess.run([*command, str(MANUALS / name)], capture_output=True, text=True, check=False)
            self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr), name)

    def test_groff_warns_of_nothing(self):
        self.lint("groff", "-ww", "-man", "-t", "-z", "-Tutf8")

    def test_mandoc_warns_of_nothing(self):
        self.lint("mandoc", "-T", "lint", "-W", "warning")

    def test_five_examples_of_what_is_taken(self):
        examples = surface.section(page(PAGES[0]), "EXAMPLES")
        self.assertGreaterEqual(len(re.findall(r"(?m)^\.SS ", examples)), 5)
        lines = re.findall(r"(?m)^(?:sudo )?(pythreads .*?)(?: [|>] .*)?$", surface.plain(examples))
        self.assertGreaterEqual(len(lines), 5)
        for line in lines:
            words = line.replace("4711", surface.NOBODY).replace("hang.json", "/nowhere/hang.json").split()[1:]
            self.assertNotRegex(surface.run(EXECUTABLE, *words).stderr, "not expected|required|none of|is no command", line)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
