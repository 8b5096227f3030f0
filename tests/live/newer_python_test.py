#!/usr/bin/python3
"""A CPython newer than every committed table: tried by what it says of itself, and marked extrapolated.

There is none to be had, so one is made: a copy of the newest interpreter found, whose _Py_DebugOffsets say that it is the
next minor, and whose sys.hexversion does. (The version in its code stays: it refuses its own frozen modules otherwise.)
All else in its memory is a real interpreter's.
"""

import json
import os
import pathlib
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

COOKIE = b"xdebugpy"


def newest():
    """The newest release interpreter that describes itself (3.13 on) and is one file."""
    found = [
        each
        for each in interpreters.find_interpreters()
        if each["how"] == "container" and not each["debug"] and tuple(map(int, each["version"].split(".")[:2])) >= (3, 13)
    ]
    return max(found, key=lambda each: tuple(map(int, each["version"].split("."))), default=None)


def with_version(image, version, change=lambda image, at: image):
    """The file's bytes with another version in _Py_DebugOffsets; `change` may do more at the runtime's beginning."""
    at = image.find(COOKIE)
    while at >= 0:
        (old,) = struct.unpack_from("<Q", image, at + len(COOKIE))
        if old >> 24 == 3:
            break
        at = image.find(COOKIE, at + 1)  # the word alone: whoever reads debug offsets has it too
    if at < 0:
        raise ValueError("no _Py_DebugOffsets in the file")
    begin = at + len(COOKIE)
    return change(image[:begin] + struct.pack("<Q", version) + image[begin + 8 :], at)


class NewerPython(unittest.TestCase):
    def setUp(self):
        self.interpreter = newest()
        if self.interpreter is None:
            self.skipTest("no CPython from 3.13 on was found in a suite: tests/interpreters/fetch.py gets them")
        self.folder = tempfile.TemporaryDirectory(prefix="pythreads-newer-")
        self.addCleanup(self.folder.cleanup)
        path = pathlib.Path(self.interpreter["root"]) / self.interpreter["executable"].lstrip("/")
        self.image = path.read_bytes()
        self.minor = int(self.interpreter["version"].split(".")[1]) + 1
        self.version = 0x030000F0 | self.minor << 16

    def made_up(self, image):
        """The interpreter entry of the copy: the real one makes the container, then becomes the copy."""
        copy = pathlib.Path(self.folder.name) / f"python3.{self.minor}"
        copy.write_bytes(image)
        copy.chmod(0o755)
        (copy.parent / "sitecustomize.py").write_text(f"import sys\nsys.hexversion = {self.version:#x}\n")
        become = (
            f"import os, sys; os.environ.update(PYTHONHOME='/usr', PYTHONPATH={str(copy.parent)!r}); "
            f"os.execv({str(copy)!r}, [{str(copy)!r}, *sys.argv[1:]])"
        )
        return {**self.interpreter, "command": [*self.interpreter["command"], "-c", become]}

    def test_it_is_read_and_marked(self):
        image = with_version(self.image, self.version)
        with scoped_target.ScopedTarget(self.made_up(image), "known_lines") as target:
            done = program.dump("--json", target.pid)
            text = program.dump(target.pid)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(schema_check.problems(document), [])
        process = document["processes"][0]
        self.assertEqual(process["python"]["version"], f"3.{self.minor}.0")
        self.assertEqual(process["python"]["layout"], "extrapolated")
        truth = {thread["ident"]: thread["frames"] for thread in target.truth["threads"]}
        self.assertGreater(len(truth), 1)
        compared = 0
        for thread in process["threads"]:
            expected = truth.get(int(thread["ident"], 16))
            if not expected:
                continue
            compared += 1
            found = [(frame["file"], frame["line"], frame["function"]) for frame in thread["frames"]]
            self.assertEqual(found, [(frame["file"], frame["line"], frame["function"]) for frame in expected])
        self.assertGreater(compared, 1)
        self.assertIn(b"extrapolated", text.stdout)

    def test_offsets_that_cannot_be_are_refused(self):
        def spoil(image, at):
            # Behind cookie, version and the build's flag: the sizes and offsets, each far outside of any struct.
            return image[: at + 24] + b"\xff" * 400 + image[at + 424 :]

        image = with_version(self.image, self.version, spoil)
        with scoped_target.ScopedTarget(self.made_up(image), "known_lines") as target:
            done = program.dump("--json", target.pid)
        self.assertEqual(done.returncode, 69, done.stdout[:500])
        error = json.loads(done.stdout)["errors"][0]
        self.assertEqual(error["code"], "unsupported")
        self.assertIn(f"3.{self.minor}", error["message"])


if __name__ == "__main__":
    done = unittest.main(verbosity=2, exit=False).result
    sys.exit(1 if not done.wasSuccessful() else 77 if done.skipped else 0)
