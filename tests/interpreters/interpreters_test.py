#!/usr/bin/python3
"""Tests of how interpreters are fetched, found and run."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import executables  # noqa: E402
import fetch  # noqa: E402
import interpreters  # noqa: E402
import suites  # noqa: E402

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian/ bookworm main contrib # ours
deb http://mirror.example/debian bookworm-security main
deb http://tools.example/apt cloud-bookworm main
"""

DEB822 = """\
# a comment
Types: deb deb-src
# another
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs:
 http://folded.example/debian
Suites: bookworm
Components:
 main
 contrib
"""


class AptSources(unittest.TestCase):
    def test_one_line_format(self):
        entries = fetch.parse_one_line(ONE_LINE)
        self.assertEqual([entry["suite"] for entry in entries], ["bookworm", "bookworm-security", "cloud-bookworm"])
        self.assertEqual(entries[0]["components"], ["main", "contrib"])
        self.assertIn("signed-by", entries[0]["options"])

    def test_deb822_format(self):
        entries = fetch.parse_deb822(DEB822)
        self.assertEqual(
            [(entry["uri"], entry["suite"]) for entry in entries],
            [
                ("http://mirror.example/debian", "bookworm"),
                ("http://mirror.example/debian", "bookworm-updates"),
                ("http://second.example/debian", "bookworm"),
                ("http://second.example/debian", "bookworm-updates"),
                ("http://folded.example/debian", "bookworm"),
            ],
        )
        self.assertEqual(entries[-1]["components"], ["main", "contrib"])

    def test_only_the_hosts_own_suite_names_a_mirror(self):
        entries = fetch.parse_one_line(ONE_LINE) + fetch.parse_deb822(DEB822)
        self.assertEqual(
            fetch.mirrors(entries, "bookworm"),
            ["http://mirror.example/debian", "http://second.example/debian", "http://folded.example/debian"],
        )
        self.assertEqual(fetch.mirrors(entries, "jammy"), [])

    def test_both_kinds_of_files_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            parts = pathlib.Path(folder, "sources.list.d")
            parts.mkdir()
            pathlib.Path(folder, "sources.list").write_text("deb http://a.example/debian sid main\n")
            (parts / "b.sources").write_text(DEB822)
            (parts / "c.list").write_text("deb http://c.example/debian sid main\n")
            (parts / "d.list.save").write_text("deb http://d.example/debian sid main\n")
            uris = [entry["uri"] for entry in fetch.read_sources(folder)]
        self.assertEqual(uris[0], "http://a.example/debian")
        self.assertEqual(uris[-1], "http://c.example/debian")
        self.assertEqual(len(uris), 7)

    def test_what_no_interpreter_needs_is_left_out(self):
        for name in ("perl-base", "dpkg", "libx11-6", "libxcb1", "fonts-dejavu-core", "libtk8.6", "tar"):
            self.assertTrue(fetch.LEFT_OUT.match(name), name)
        for name in ("libc6", "libexpat1", "libssl3t64", "liblzma5", "tzdata", "python3.13", "libtirpc3"):
            self.assertFalse(fetch.LEFT_OUT.match(name), name)


class Trees(unittest.TestCase):
    def test_a_tree_without_its_stamp_is_none(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIsNone(suites.read_stamp(folder))
            pathlib.Path(folder, suites.STAMP).write_text("{")
            self.assertIsNone(suites.read_stamp(folder))
            pathlib.Path(folder, suites.STAMP).write_text('{"format": -1}')
            self.assertIsNone(suites.read_stamp(folder))

    def test_a_tree_is_replaced_whole(self):
        with tempfile.TemporaryDirectory() as folder:
            old, new = pathlib.Path(folder, "sid"), pathlib.Path(folder, "new")
            for place in (old, new):
                place.mkdir()
                (place / "mark").write_text(place.name)
            fetch.replace(old, new)
            self.assertEqual((old / "mark").read_text(), "new")
            self.assertEqual(sorted(os.listdir(folder)), ["sid"])


class Found(unittest.TestCase):
    """What interpreters.py lists is what runs."""

    @classmethod
    def setUpClass(cls):
        cls.found = interpreters.find_interpreters()

    def test_the_system_has_one_and_names_differ(self):
        names = [each["name"] for each in self.found]
        self.assertTrue(any(name.startswith("system-") for name in names), names)
        self.assertEqual(len(names), len(set(names)), names)

    def test_each_is_what_it_is_listed_as(self):
        for each in self.found:
            with self.subTest(each["name"]):
                told = interpreters.ask(each["command"])
                self.assertEqual(told, (each["version"], each["debug"], each["free_threaded"], each.get("trace_refs", False)))
        print("ran:", ", ".join(f"{each['name']} ({each['version']}, {each['how']})" for each in self.found))

    def test_a_script_runs_under_the_pid_that_was_started(self):
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder, "script.py")
            script.write_text("import os, sys; print(os.getpid(), sys.argv[1:])\n")
            for each in self.found:
                with self.subTest(each["name"]):
                    command = [*each["command"], str(script), "--", "-x"]
                    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                        output = process.communicate(timeout=60)[0]
                    self.assertEqual(output, f"{process.pid} ['--', '-x']\n")

    def test_every_way_to_run_a_tree(self):
        # A container of one's own needs no privilege where user namespaces are allowed; the others do.
        privileged = ["pidns", "userns"] * (os.geteuid() == 0)
        ways = ["loader"] + ["container", "chroot", *privileged] * interpreters.can_make_containers()
        for suite in suites.SUITES:
            for each in suites.interpreters_in(suite):
                for how in ways:
                    with self.subTest(each["name"], how=how):
                        told = interpreters.ask([interpreters.SYSTEM_PYTHON, RUNNER, each["name"], "--how", how, "--"])
                        self.assertEqual(told, (each["version"], each["debug"], False, False))
        print("ways to run a tree:", ", ".join(ways))

    def test_every_file_to_run_it_from(self):
        for each in self.found:
            if not each["name"].startswith(("system-", "trixie-", "pyenv-3.12", "static-")):
                continue
            for kind in executables.KINDS:
                if kind == "embedded" and executables.shared_library(each["root"].rstrip("/") + each["executable"], each["root"]) is None:
                    continue
                with self.subTest(each["name"], kind=kind), tempfile.TemporaryDirectory() as scratch:
                    name = each["executable"] if each["root"] == "/" else each["name"]
                    how = "plain" if each["root"] == "/" else each["how"]
                    if how == "loader":
                        continue
                    command = [interpreters.SYSTEM_PYTHON, RUNNER, name, "--how", how, "--as", kind, "--scratch", scratch, "--"]
                    self.assert_runs_from(kind, scratch, [*command, "-c", "print(0, flush=True); input()"])

    def assert_runs_from(self, kind, scratch, command):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "0\n")
            deadline = time.monotonic() + executables.SECONDS
            taken = kind in ("deleted", "replaced", "memfd")
            while (path := os.readlink(f"/proc/{process.pid}/exe")).endswith(" (deleted)") != taken:
                self.assertLess(time.monotonic(), deadline, path)
                time.sleep(0.01)
            self.assertEqual(path.startswith("/memfd:"), kind == "memfd", path)
            self.assertEqual(path.startswith(scratch), kind != "memfd", path)
            self.assertEqual(path.endswith("/uwsgi"), kind == "renamed", path)
            process.communicate("\n", timeout=60)
        if kind == "deleted":
            self.assertEqual(os.listdir(scratch), [])


if __name__ == "__main__":
    unittest.main()
