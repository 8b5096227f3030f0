#!/usr/bin/python3
"""Completions, typed into real shells: bash and zsh at a terminal, fish by `complete -C`.

A shell that is not here is named, and its tests are skipped (packaging/install-dependencies test brings them).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "live")]
import program  # noqa: E402
import terminal  # noqa: E402

SCRIPTS = ROOT / "completions"
TAG = "--looks-like-a-python"
CODE = "import os; os.write(1, b'x'); os.read(0, 1)"


def told(*words):
    """What the program itself says of these words."""
    done = program.run("__complete", *words)
    assert (done.returncode, done.stderr) == (0, b""), done
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


class Python:
    """A Python to be listed, whose name would do harm on a terminal."""

    def __enter__(self):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", CODE, TAG, "--password=hunter2", "a\tb\n\x1b[31m"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.read(1)
        return self.process.pid

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Typed:
    """A shell at a terminal. `complete` types a line, a tab, and what shows the line and takes it away: (what is shown, the line)."""

    def __init__(self, command, setup, environment, folder):
        self.shell = terminal.Terminal(command, environment)
        self.shell.type(setup + f" cd '{folder}'; PS1='> '; echo REA''DY\n")
        self.shell.until(r"READY\r?\n")

    def complete(self, line):
        # No other key than these: one that comes while the shell runs something is the terminal's own (^U).
        self.shell.type("\x07")
        self.shell.until("LINE<>")  # with it goes what is still shown of the completion before
        self.shell.type(line + "\t\x07")
        shown, found = self.shell.until(r"LINE<([^>]*)>")
        return terminal.plain(shown), found[1]

    def close(self):
        self.shell.__exit__()


class Bash(Typed):
    def __init__(self, environment, folder):
        setup = (
            "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0';"
            "bind 'set page-completions off'; bind 'set enable-bracketed-paste off';"
            """bind -x '"\\C-g": printf "LINE<%s>\\n" "$READLINE_LINE"; READLINE_LINE=';"""
            f" . '{SCRIPTS}/pythreads.bash';"
        )
        super().__init__(["bash", "--norc", "--noprofile", "-i"], setup, environment, folder)


class Zsh(Typed):
    def __init__(self, environment, folder):
        setup = (
            f"fpath=('{SCRIPTS}' $fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=0; unsetopt beep list_ambiguous zle_bracketed_paste;"
            "unset zle_bracketed_paste; show() { zle -Rc; zle -I; print -r -- \"LINE<$BUFFER>\"; BUFFER= }; zle -N show; bindkey -e; bindkey '^G' show;"
        )
        super().__init__(["zsh", "-f", "-i"], setup, environment, folder)


class Fish:
    """Not typed: `complete -C` is how fish itself shows what it would offer."""

    def __init__(self, environment, folder):
        self.environment, self.folder = {**os.environ, **environment}, folder

    def complete(self, line):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source '{SCRIPTS}/pythreads.fish'; complete -C $argv[1]", line],
            capture_output=True, text=True, env=self.environment, cwd=self.folder, check=True, timeout=120)
        words = [each.split("\t")[0] for each in done.stdout.splitlines()]
        return done.stdout, line[: line.rfind(" ") + 1] + words[0] + " " if len(words) == 1 else line

    def close(self):
        pass


class InShell:
    """The tests, the same for each shell."""

    shell = None
    name = ""

    @classmethod
    def setUpClass(cls):
        if shutil.which(cls.name) is None:
            print(f"{cls.name}: not here, its completions are not tried", file=sys.stderr)
            raise unittest.SkipTest(f"{cls.name} is not here")
        cls.folder = tempfile.TemporaryDirectory()
        (pathlib.Path(cls.folder.name) / "saved-dump.json").write_text("{}")
        path = str(pathlib.Path(cls.folder.name) / "bin")
        os.mkdir(path)
        os.symlink(program.executable(), path + "/pythreads")
        cls.typed = cls.shell({"PATH": path + ":" + os.environ["PATH"], "HOME": cls.folder.name, "LC_ALL": "C.UTF-8",
                               "ASAN_OPTIONS": "detect_leaks=0"}, cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.typed.close()
        cls.folder.cleanup()

    def assert_offers(self, line, words):
        shown, _ = self.typed.complete(line)
        have = set(shown.split())
        self.assertEqual(set(words) - have, set(), shown)
        return have

    def assert_becomes(self, line, expected):
        self.assertEqual(self.typed.complete(line)[1].rstrip(), expected)

    def test_commands(self):
        self.assert_offers("pythreads ", ["dump", "graph", "check", "show", "doctor"])
        self.assert_becomes("pythreads du", "pythreads dump")

    def test_options_of_each_command(self):
        self.assertGreater(len(told("dump", "--")), 10)
        for command in told(""):
            if len(told(command, "--")) == 1:  # one that is typed out and not listed
                self.assert_becomes(f"pythreads {command} --", f"pythreads {command} {told(command, '--')[0]}")
                continue
            have = self.assert_offers(f"pythreads {command} --", told(command, "--"))
            self.assertEqual({each for each in have if each.startswith("--")} - {"--"}, set(told(command, "--")))
        self.assert_becomes("pythreads check --fa", "pythreads check --fail-on")

    def test_values(self):
        self.assert_offers("pythreads dump --format ", ["text", "json", "dot", "mermaid"])
        self.assert_becomes("pythreads dump --color al", "pythreads dump --color always")
        self.assert_becomes("pythreads graph --format=mer", "pythreads graph --format=mermaid")

    def test_processes_with_their_commands(self):
        with Python() as pid:
            with Python() as another:
                shown, _ = self.typed.complete("pythreads dump ")
                for each in (pid, another):
                    self.assertRegex(shown, rf"(?m)^.*\b{each}\b.*/usr/bin/python3.*")
                self.assertNotIn("hunter2", shown)
                self.assertNotIn("\x1b[31m", shown)
                shown, _ = self.typed.complete(f"pythreads dump {another} ")
                self.assertNotRegex(shown.rpartition(f"dump {another}")[2], rf"\b{another}\b")
            self.assert_becomes(f"pythreads check --json {pid}", f"pythreads check --json {pid}")

    def test_files(self):
        self.assert_becomes("pythreads show saved-d", "pythreads show saved-dump.json")
        self.assert_becomes("pythreads dump --output saved-d", "pythreads dump --output saved-dump.json")


class InBash(InShell, unittest.TestCase):
    shell = Bash
    name = "bash"


class InZsh(InShell, unittest.TestCase):
    shell = Zsh
    name = "zsh"


class InFish(InShell, unittest.TestCase):
    shell = Fish
    name = "fish"


if __name__ == "__main__":
    program.executable()
    unittest.main(verbosity=2)
