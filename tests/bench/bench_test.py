#!/usr/bin/python3
"""The benchmark's short form is right: every dump without a gap and with all threads, each figure there, the page, the
plot and the JSON well-formed. Never how long anything took: that is `make bench`.

PYTHREADS_EXECUTABLE and PYTHREADS_BUILD (it holds tests/bench/bare_stop) say what to run.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]
import cells  # noqa: E402
import plan  # noqa: E402
import plot  # noqa: E402
import program  # noqa: E402
import promises  # noqa: E402
import system_calls  # noqa: E402
import table  # noqa: E402
import unstopped  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


class Short(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        command = [sys.executable, "-B", str(HERE / "bench.py"), "--short", "--output", cls.folder.name]
        command += ["--pythreads", program.released(), "--build", os.environ["PYTHREADS_BUILD"]]
        environment = {"ASAN_OPTIONS": "detect_leaks=0", **os.environ}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        cls.results = json.loads(pathlib.Path(cls.folder.name, "benchmark.json").read_text(encoding="utf-8"))
        cls.page = pathlib.Path(cls.folder.name, "benchmark.md").read_text(encoding="utf-8")
        cls.svg = pathlib.Path(cls.folder.name, "benchmark.svg").read_text(encoding="utf-8")

    def test_only_what_was_not_asked_for_is_left_out(self):
        reasons = {why for _, why in self.results["left_out"]}
        self.assertEqual(reasons, {"this run was not asked for it"})

    def test_every_cell_has_its_figures(self):
        # A dump with a gap is a void round, and one of a wrong number of threads ends its cell.
        self.assertEqual(len(self.results["cells"]), 4)
        for cell in self.results["cells"]:
            with self.subTest(cells.Cell(cell["interpreter"], cell["threads"], cell["depth"], cell["way"]).title):
                self.assertEqual((cell["rounds"], cell["void_rounds"], cell["notes"]), (3, 0, {}))
                figures = ["bare_held_ms", "held_ms", "held_ratio", "native_wall_ms", "plain_wall_ms", "peak_kib"]
                figures += ["felt_ms", "bare_felt_ms", "calm_ms"] if cell["way"] == "blocked" else []
                for figure in figures:
                    self.assertGreater(cell[figure], 0, figure)
                self.assertGreaterEqual(cell["frames"], cell["threads"] * cell["depth"])

    def test_system_calls_are_counted(self):
        for each in self.results["calls"]:
            self.assertGreaterEqual(each["held_by_name"]["ptrace"], each["threads"] * 2)
            self.assertGreater(each["calls"], each["held_calls"])

    def test_service_and_no_stop(self):
        self.assertEqual(self.results["agent"]["threads"], 200)
        self.assertEqual([each["threads"] for each in self.results["samples"]], [1, 10])
        for each in self.results["samples"]:
            self.assertGreater(each["first_cpu_ms"], 0)
        self.assertGreater(self.results["requests"]["during"], 0)
        self.assertEqual(self.results["requests"]["failed"], 0)
        self.assertGreater(self.results["cold"]["files_dropped"], 3)
        judged = self.results["unstopped"]
        self.assertEqual(judged["stopped"]["agree"], judged["stopped"]["frames"])
        self.assertGreater(judged["unstopped"]["frames"], 50)
        self.assertEqual(judged["unstopped"]["garbage"], 0)

    def test_page(self):
        self.assertIn("](benchmark.svg)", self.page)
        rows = collections.defaultdict(list)
        for number, text in enumerate(self.page.split("\n\n")):
            rows[number] = [line.count("|") for line in text.splitlines() if line.startswith("|")]
        self.assertGreaterEqual(sum(len(each) > 2 for each in rows.values()), 3)
        for columns in rows.values():
            self.assertEqual(len(set(columns)), min(1, len(columns)))
        self.assertNotIn("None", self.page)

    def test_plot(self):
        root = xml.etree.ElementTree.fromstring(self.svg)
        # Two sizes, and in each four lines: held and bare, with and without native frames.
        self.assertEqual(len(root.findall(f"{SVG}circle")), 8)


class Judgement(unittest.TestCase):
    def test_held_calls_are_those_between_the_first_interrupt_and_the_last_detach(self):
        log = b"""10 openat(AT_FDCWD, "a") = 3
11 ptrace(PTRACE_SEIZE, 5, NULL, 0) = 0
11 ptrace(PTRACE_INTERRUPT, 5) = 0
10 process_vm_readv(5, ... <unfinished ...>
11 futex(0x1, FUTEX_WAIT) = 0
10 <... process_vm_readv resumed>) = 8
11 ptrace(PTRACE_DETACH, 5, NULL, 0) = 0
11 brk(NULL) = 1
11 ptrace(PTRACE_DETACH, 6, NULL, 0) = 0
10 write(1, "", 0) = 0
11 +++ exited with 0 +++
"""
        total, held = system_calls.count_log(log.splitlines())
        self.assertEqual(sum(total.values()), 9)
        self.assertEqual(held, {"ptrace": 3, "process_vm_readv": 1, "futex": 1, "brk": 1})

    def test_frames_are_judged_by_what_the_program_has(self):
        truth = {
            "file": "/a.py",
            "calls": [["root", "branch"], ["Thread.run", "root"]],
            "lines": {"root": [1, 5], "branch": [7, 9]},
            "others": {"/t.py": ["run"]},
        }

        def frame(name, line, file="/a.py"):
            return {"qualified_name": name, "function": name, "file": file, "line": line}

        run, root, branch = frame("run", 1, "/t.py"), frame("root", 3), frame("branch", 8)
        for frames, judged in (
            ([branch, root, run], (3, 0, 0, 0)),
            ([frame("branch", 6), root, run], (2, 1, 0, 0)),  # a line of another function
            ([branch, branch, root, run], (3, 1, 0, 0)),  # nobody calls it so
            ([frame("nobody", 8), root, run], (2, 0, 1, 0)),
            ([frame("run", 8, "/else.py"), run], (1, 0, 1, 0)),
            ([frame(None, None, None), root, run], (2, 0, 0, 1)),
        ):
            self.assertEqual(unstopped.judge(frames, truth), judged)

    def test_what_is_not_measured_says_why(self):
        here = {"name": "a-3.13t", "version": "3.13.1", "free_threaded": True}
        planned, left_out = plan.plan([here, {"name": "3.8", "missing": True}], here, 5000)
        self.assertEqual(max(each.cell.threads for each in planned), 1000)
        reasons = dict(left_out)
        self.assertIn("5000 threads", reasons["a-3.13t, 10000 threads 5 deep, blocked"])
        self.assertIn("GIL", reasons["a-3.13t, 1000 threads 200 deep, busy"])
        self.assertIn("not here", reasons["3.8, 1 threads 5 deep, blocked"])
        self.assertIn("not asked", dict(plan.plan([here], here, 5000, sizes=(1,))[1])["100 threads"])
        # What is promised is measured for as long as it takes.
        self.assertEqual({each.cell.depth for each in planned if each.seconds is None}, {5, 20})

    def test_promises(self):
        cell = {"interpreter": "a", "threads": 100, "depth": 5, "way": "blocked", "held_ratio": 1.7, "frames": 500}
        cell |= {"peak_kib": 40 << 10, "stack_bytes": 0, "native_wall_ms": 20, "plain_wall_ms": 20}
        cell["rivals"] = [{"name": "py-spy", "native": True, "wall_ms": 30}, {"name": "gdb", "native": True, "wall_ms": 1}]
        kept = {promise.what: promise.kept for promise in promises.of_cell(cell)}
        self.assertEqual(
            kept,
            {
                "held time, times the bare stop's: 100 threads and more": False,
                "peak memory, MiB": False,
                "whole run with --native, share of py-spy's": True,
            },
        )
        # 150 frames in each of 100 threads: 300 bytes for 5,000 of them.
        deep = promises.most_memory({**cell, "frames": 15000})
        self.assertEqual(deep - promises.most_memory(cell), 5000 * 300)

    def test_an_empty_plot_is_a_plot(self):
        self.assertEqual(xml.etree.ElementTree.fromstring(plot.draw([])).tag, f"{SVG}svg")

    def test_milliseconds(self):
        self.assertEqual([table.ms(value) for value in (None, 0.123, 12.34, 1234.5)], ["-", "0.12", "12.3", "1,234"])
        self.assertIsNone(re.search(r"e\+", table.ms(1e9)))


if __name__ == "__main__":
    unittest.main()
