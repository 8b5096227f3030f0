"""What ran and what came of it, kept in a file, so that a long run can go on where it was stopped.

One line of JSON for each interpreter and scenario. The first line says what was tested: another executable or
changed tests begin a new file.
"""

import hashlib
import json
import os
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent


def tested(executable):
    digest = hashlib.sha256()
    for path in [pathlib.Path(executable), *sorted(TESTS.glob("scenarios/*.py")), *sorted(TESTS.glob("live/*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Results:
    def __init__(self, path, executable):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.head = {"tested": tested(executable)}
        self.entries = {}
        lines = read_lines(self.path)
        if lines and lines[0] == self.head:
            self.entries = {(each["interpreter"], each["scenario"]): each for each in lines[1:]}
        else:
            self.path.write_text(json.dumps(self.head) + "\n", encoding="ascii")

    def passed(self, interpreter, scenario):
        entry = self.entries.get((interpreter["name"], scenario))
        return entry is not None and not entry["problems"]

    def add(self, interpreter, scenario, problems):
        entry = {
            "interpreter": interpreter["name"],
            "version": interpreter["version"],
            "debug": interpreter["debug"],
            "free_threaded": interpreter["free_threaded"],
            "scenario": scenario,
            "problems": problems,
        }
        self.entries[interpreter["name"], scenario] = entry
        with open(self.path, "a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_lines(path):
    """The lines that are whole: a run may have been killed while it wrote the last."""
    try:
        text = pathlib.Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return []
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines
