#!/usr/bin/python3
"""What a person sees at a terminal: colours, lines that fit, and what is being waited for."""

import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "live"), str(TESTS / "support"), str(TESTS / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import scoped_target  # noqa: E402
import terminal  # noqa: E402

DEADLOCK = TESTS / "golden" / "rlock_deadlock.json"
HOSTILE = TESTS / "golden" / "hostile_text.json"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = {"NO_COLOR": "", "COLUMNS": "", "ASAN_OPTIONS": "detect_leaks=0"}  # whatever the test's own terminal has
PROGRESS = r"pythreads: [^\r\n]*, \d+ s"


def shown(*words, columns=200, **environment):
    """What the program writes to a terminal, as it writes it."""
    command = [program.executable(), *map(str, words)]
    with terminal.Terminal(command, {**PLAIN, **environment}, columns=columns) as screen:
        return screen.everything().replace("\r\n", "\n")


def left_standing(written):
    """What stands on the screen in the end, where lines were erased and written anew."""
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in written.replace("\r\n", "\n").split("\n"))


def piped(*words):
    return program.run(*words).stdout.decode()


class Colours(unittest.TestCase):
    def test_say_what_the_words_say(self):
        text = shown("show", DEADLOCK)
        self.assertEqual(piped("show", DEADLOCK), COLOUR.sub("", text))
        for code, what in (("1;31", "Verdict: deadlock"), ("1;31", r"Thread 0x\w+ \[transfer-1\]"), ("1;33", r"Thread 0x\w+ \[audit\]"),
                           ("2", r"Thread 0x\w+ \[pool_0\]"), ("1;32", r"Thread 0x\w+ \[compute\]")):
            self.assertRegex(text, rf"(?m)^\x1b\[{code}m{what}.*\x1b\[0m$")
        self.assertRegex(shown("show", "--graph", DEADLOCK), r'(?m)^\x1b\[1;31m"transfer-1"')

    def test_are_off_where_they_are_not_wanted(self):
        for environment, options in (({"NO_COLOR": "1"}, []), ({"TERM": "dumb"}, []), ({}, ["--color", "never"])):
            self.assertNotIn("\x1b", shown("show", DEADLOCK, *options, **environment), (environment, options))
        self.assertIn("\x1b[1;31m", shown("show", DEADLOCK, "--color", "always", NO_COLOR="1", TERM="dumb"))
        self.assertNotIn("\x1b", program.run("show", DEADLOCK, "--color", "auto").stdout.decode())
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "text")
            self.assertEqual("", shown("show", DEADLOCK, "-o", file, columns=50))
            self.assertEqual(piped("show", DEADLOCK), file.read_text())

    def test_what_the_target_names_commands_no_terminal(self):
        text = shown("show", HOSTILE, columns=60)
        self.assertIn("\\x1b", text)
        self.assertEqual([], [c for c in COLOUR.sub("", text) if ord(c) < 0x20 and c != "\n"])


class Width(unittest.TestCase):
    def too_long(self, text, columns):
        return [line for line in text.splitlines() if len(line) > columns and " " in line.strip()
                and not line.startswith(("Thread 0x", '  File "', "  Binary file"))]

    def test_sentences_fit_and_nothing_is_lost(self):
        wide = piped("show", "--explain", DEADLOCK)
        self.assertTrue(self.too_long(wide, 60), "nothing to break")
        for width, environment in ((60, {}), (60, {"COLUMNS": "60"}), (90, {"COLUMNS": "90"})):
            columns = 60 if not environment else 200
            text = shown("show", "--explain", "--color", "never", DEADLOCK, columns=columns, **environment)
            self.assertEqual([], self.too_long(text, width))
            last_part = [word.rpartition("/")[2] for word in text.split()]
            self.assertEqual([word.rpartition("/")[2] for word in wide.split()], last_part)

    def test_nothing_is_cut_where_it_is_no_terminal(self):
        environment = {**os.environ, **PLAIN, "COLUMNS": "50"}
        done = subprocess.run([program.executable(), "show", str(DEADLOCK)], capture_output=True, env=environment, check=True)
        self.assertEqual(shown("show", DEADLOCK, "--color", "never", columns=10000).encode(), done.stdout)


class Running:
    """The program with its standard error at a terminal, and the rest at pipes."""

    def __init__(self, *words, **environment):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([program.executable(), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=slave, env={**os.environ, **PLAIN, "TERM": "xterm", **environment})
        os.close(slave)
        self.written = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        try:
            while piece := os.read(self.master, 4096):
                self.written += piece
        except OSError:  # EIO: the other side is closed
            pass

    def wait_until_shown(self, pattern, seconds=120):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.written.decode()):
            assert time.monotonic() < deadline, self.written
            time.sleep(0.02)

    def end(self, stdin=b""):
        out, _ = self.process.communicate(stdin, timeout=120)
        self.reader.join()
        os.close(self.master)
        return out, self.written.decode()


class ProgressLine(unittest.TestCase):
    def test_tells_what_takes_longer_than_a_second_and_is_erased(self):
        running = Running("show", "-")
        running.wait_until_shown(PROGRESS)
        out, written = running.end(DEADLOCK.read_bytes())
        self.assertRegex(written, r"pythreads: reading standard input, \d+ s")
        self.assertEqual("", left_standing(written))
        self.assertTrue(out.startswith(b"Verdict: deadlock"))

    def test_is_no_part_of_a_short_run_nor_of_a_file(self):
        running = Running("show", DEADLOCK)
        began = time.monotonic()
        out, written = running.end()
        if time.monotonic() - began < 0.9:
            self.assertEqual("", written)
        self.assertTrue(out)
        running = Running("show", "-", TERM="dumb")
        time.sleep(1.5)
        self.assertEqual("", running.end(DEADLOCK.read_bytes())[1])
        slow = subprocess.Popen([program.executable(), "show", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**os.environ, **PLAIN})
        time.sleep(1.5)
        self.assertEqual(b"", slow.communicate(DEADLOCK.read_bytes(), timeout=120)[1])

    def test_gives_way_to_looks_and_to_errors(self):
        with scoped_target.ScopedTarget(interpreters.system_interpreter()[0], "generators") as target:
            words = ("dump", "--samples", "2", "--interval", "2500ms", *program.PATIENCE, target.pid)
            written = shown(*words, "--color", "never", columns=500)
            self.assertRegex(written, r"pythreads: waiting for look 2 of 2, \d+ s")
            standing = left_standing(written)
            self.assertNotRegex(standing, PROGRESS)
            self.assertEqual(2, len(re.findall(r"(?m)^Look \d, at ", standing)))

    def test_ctrl_c_between_two_looks_still_ends_with_what_was_read(self):
        with scoped_target.ScopedTarget(interpreters.system_interpreter()[0], "generators") as target:
            running = Running("dump", "--samples", "9", "--interval", "1m", "--json", *program.PATIENCE, target.pid)
            running.wait_until_shown("waiting for look 2 of 9")
            running.process.send_signal(signal.SIGINT)
            out, written = running.end()
            self.assertEqual(0, running.process.returncode)
            self.assertIn(b'"schema"', out)
            self.assertEqual("", left_standing(written))


if __name__ == "__main__":
    program.executable()
    unittest.main(verbosity=2)
