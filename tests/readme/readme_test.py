#!/usr/bin/python3
"""README.md and docs/ say what is so: commands work as they are pasted, the dump is the demo's, links lead somewhere."""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "live")]
import program  # noqa: E402

README = ROOT / "README.md"
DOCUMENTS = sorted([README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "ASAN_OPTIONS": "detect_leaks=0"}
NOBODY = str(2**31 - 2)


def load(path):
    loader = importlib.machinery.SourceFileLoader("pictures", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("pictures", loader))
    loader.exec_module(module)
    return module


pictures = load(ROOT / "docs" / "demo" / "pictures")


def code(text):
    """Lines that are shown as code, without those that the demo printed."""
    text = re.sub(re.escape(pictures.BEGIN) + ".*?" + re.escape(pictures.END), "", text, flags=re.S)
    fenced = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    return re.findall(r"(?m)^    (\S.*)$", text) + [line for block in fenced for line in block.splitlines()]


def commands(text):
    """Lines of code that run pythreads, without comments."""
    lines = [re.sub(r"\s+#.*", "", line) for line in code(text)]
    return [line for line in lines if re.match(r"(sudo )?pythreads ", line)]


class Bank:
    """The demo's service, hung."""

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", str(ROOT / "docs" / "demo" / "bank.py")], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        return self.process.pid

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Pasted(unittest.TestCase):
    """In a folder of its own, where pythreads is in PATH; without sudo, root runs it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "pythreads").symlink_to(program.executable())
        if shutil.which("sudo") is None or os.geteuid() == 0:
            (self.folder / "bin" / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
            (self.folder / "bin" / "sudo").chmod(0o755)
        self.environment = {**ENVIRONMENT, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def paste(self, line):
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False, env=self.environment,
                              cwd=self.folder)

    def test_commands_of_readme(self):
        lines = commands(README.read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(lines), 6)
        with Bank() as pid:
            for line in lines:
                if "| dot" in line and shutil.which("dot") is None:
                    print("dot: not here, what it would draw is tried without it", file=sys.stderr)
                    line = line.partition(" | dot")[0]
                line = re.sub(r"\bCOMMAND\b", "dump", re.sub(r"\bPID\b", str(pid), line))
                done = self.paste(line)
                self.assertEqual((2 if " check " in line else 0, ""), (done.returncode, done.stderr), line)
        self.assertIn("transfer-alice-bob", (self.folder / "hang.json").read_text())

    def test_ten_lines_of_python(self):
        snippet = re.search(r"(?ms)^```python\n(.*?)^```", README.read_text(encoding="utf-8"))[1]
        self.assertEqual(10, len(snippet.splitlines()))
        with Bank() as pid:
            done = subprocess.run([sys.executable, "-c", snippet, str(pid)], capture_output=True, text=True, timeout=120,
                                  check=False, env=self.environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        first, *waits = done.stdout.splitlines()
        self.assertRegex(first, "^deadlock fp1:[0-9a-f]{16}$")
        for name in ("transfer-alice-bob", "transfer-bob-alice", "teller_1"):
            self.assertTrue([line for line in waits if re.match(rf"{name} waits for bank\.Account\.lock held by \d+$", line)], waits)


class Documents(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_dump_is_the_demos(self):
        def alike(text):
            text = re.sub(r"0x[0-9a-f]+", "0x…", re.sub(r"fp1:[0-9a-f]{16}", "fp1:…", text))
            text = re.sub(r"\b\d{4}-\d\d-\d\dT[0-9:.]+Z|\bPython 3\.\d+\.\d+\S*|[0-9.]+ ms", "…", text)
            text = re.sub(r"(tid|dump|Process) \d+", r"\1 …", text).replace(sys.executable, "/usr/bin/python3")
            return [line for line in text.splitlines() if "/lib/python3" not in line]

        shown = README.read_text(encoding="utf-8").partition(pictures.BEGIN)[2].partition(pictures.END)[0].strip("\n") + "\n"
        self.assertGreater(len(alike(shown)), 15)
        dump = pictures.shown(program.executable(), "dump", *program.PATIENCE).replace(" ".join(["", *program.PATIENCE]), "", 1)
        self.assertEqual(alike(pictures.first_part(dump)), alike(shown))

    def test_picture_is_of_the_demo(self):
        drawn = (ROOT / "docs" / "demo" / "waits.svg").read_text(encoding="utf-8").replace("&#45;", "-")
        for name in ("transfer-alice-bob", "transfer-bob-alice", "teller_0", "bank.Account.lock"):
            self.assertIn(name, drawn)

    def test_commands_of_documents_are_taken(self):
        lines = [line for path in DOCUMENTS for line in commands(path.read_text(encoding="utf-8"))]
        for path in DOCUMENTS:  # behind other programs
            lines += re.findall(r"(?m)^    .*(?:-- |/tmp/)(pythreads [^|>\n]*)", path.read_text(encoding="utf-8"))
        self.assertGreater(len(lines), 10)
        for line in lines:
            words = re.sub(r"\$\(.*\)|\b(HOST_)?PID\b", NOBODY, line.partition(" | ")[0].partition(" > ")[0]).split()
            words = words[words.index("pythreads") + 1:]
            done = program.run(*words, cwd=self.folder)
            self.assertNotRegex(done.stderr.decode(), "not expected|required|none of|is no command|no process id", line)

    def test_links_lead_somewhere(self):
        for path in DOCUMENTS:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
                if "://" not in link:
                    self.assertTrue((path.parent / link).exists(), f"{path.name}: {link}")

    def test_every_document_is_linked(self):
        text = README.read_text(encoding="utf-8")
        self.assertEqual([], [str(path.relative_to(ROOT)) for path in DOCUMENTS if path != README
                              and f"({path.relative_to(ROOT)})" not in text])

    def test_targets_of_make_exist(self):
        targets = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
        for path in DOCUMENTS:
            named = set(re.findall(r"(?:`|^    )(?:[A-Z_]+=\S+ )*make ([a-z][a-z0-9-]*)", path.read_text(encoding="utf-8"), flags=re.M))
            self.assertEqual(set(), named - targets, path.name)

    def test_comparison_is_dated(self):
        self.assertRegex(README.read_text(encoding="utf-8"), r"(?m)^As of [A-Z][a-z]+ 20\d\d: py-spy [0-9.]+, pystack [0-9.]+, gdb \d+")


if __name__ == "__main__":
    program.executable()
    unittest.main(verbosity=2)
