#!/usr/bin/python3
"""Many looks at many kinds of busy threads, none of which can be in a deadlock: no look may say that there is one, and
every frame must be one that the program can have.

PYTHREADS_SOAK_DUMPS says how many looks (without it 60, with PYTHREADS_TEST_ALL 500), PYTHREADS_SOAK_INTERPRETERS on
which (the system's; `all`). The counts are printed.
"""

import ast
import collections
import json
import os
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live"), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import scoped_target  # noqa: E402

DUMPS = int(os.environ.get("PYTHREADS_SOAK_DUMPS") or (500 if os.environ.get("PYTHREADS_TEST_ALL") else 60))
THREADS = 45
PROGRAM = HERE / "churn.py"
WAYS = [[], ["--native"], ["--locals"], ["--no-stop"]]
NEVER = {"deadlock", "possible-deadlock"}


class Churn(scoped_target.ScopedTarget):
    def __init__(self, interpreter):
        super().__init__(interpreter, str(PROGRAM), [str(THREADS)])

    def wait_until_parked(self):
        """It never rests."""


def chosen():
    names = os.environ.get("PYTHREADS_SOAK_INTERPRETERS")
    if not names:
        return [interpreters.system_interpreter()[0]]
    return [each for each in interpreters.find_interpreters() if names == "all" or each["name"] in names.split(",")]


def lines_of_functions():
    """name: (first, last) of the program's functions."""
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    return {each.name: (each.lineno, each.end_lineno) for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


LINES = lines_of_functions()


def wrong_frames(frames):
    """Those of the program whose function and line don't belong together."""
    wrong = []
    for frame in frames:
        if frame["kind"] != "python" or frame["file"] != str(PROGRAM) or frame["function"] == "<module>":
            continue
        first, last = LINES.get(frame["function"], (0, 0))
        if frame["line"] is None or not first <= frame["line"] <= last:
            wrong.append((frame["function"], frame["line"]))
    return wrong


class ChurnTest(unittest.TestCase):
    def test_no_look_is_wrong(self):
        self.assertTrue(chosen(), "no such interpreter here")
        for interpreter in chosen():
            with self.subTest(interpreter["name"]), Churn(interpreter) as target:
                self.look_many_times(interpreter, target)

    def look_many_times(self, interpreter, target):
        counts, verdicts, gaps = collections.Counter(), collections.Counter(), collections.Counter()
        for number in range(DUMPS):
            way = WAYS[number % len(WAYS)]
            done = program.run("dump", target.pid, "--json", "--deadline", "2m", "--pause-budget", "1m", *way)
            self.assertEqual(done.returncode, 0, f"look {number} {way}: {done.stderr.decode(errors='replace')[:2000]}")
            document = json.loads(done.stdout)
            [process] = document["processes"]
            verdicts[process["verdict"]] += 1
            self.assertNotIn(process["verdict"], NEVER, f"look {number} {way}: {document['findings']}")
            self.assertEqual(document["findings"]["cycles"], [], f"look {number} {way}: {document['findings']}")
            for gap in process["gaps"]:
                gaps[re.sub(r"0x[0-9a-f]+|\d+", "N", f"{gap['where']}: {gap['reason']}")[:100]] += 1
            for thread in process["threads"]:
                self.assertEqual(wrong_frames(thread["frames"]), [], f"look {number} {way}: {thread['frames']}")
                counts["threads"] += 1
                counts["frames"] += len(thread["frames"])
                counts["holds"] += len(thread["holds"])
                counts["waits"] += thread["wait"] is not None
        self.assertIsNone(target.process.poll())
        # What saw nothing shows nothing.
        self.assertGreater(counts["threads"], DUMPS * THREADS / 2)
        self.assertGreater(counts["frames"], counts["threads"])
        self.assertGreater(counts["holds"], DUMPS / 10)
        print(
            f"{interpreter['name']}: {DUMPS} looks, {dict(counts)}, verdicts {dict(verdicts)}, "
            f"{sum(gaps.values())} gaps {dict(gaps.most_common(5))}",
            flush=True,
        )


if __name__ == "__main__":
    unittest.main()
