#!/usr/bin/python3
"""Where the file of CPython is, and whether it still is: renamed, deleted, replaced, in memory, behind links."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import place
from place import PARKED, SYSTEM_PYTHON, Place, dump


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def copy_of_python(self, *names):
        path = self.folder.joinpath(*names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(os.path.realpath(SYSTEM_PYTHON), path)

    def test_any_name(self):
        for name in ("uwsgi", "my app", "line\nend", "python (deleted)", "back\\slash", "\udcff\udc80", "it's [heap]"):
            with self.subTest(name), Place([self.copy_of_python(name), PARKED]) as here:
                process = here.check(self, "--native")
                self.assertTrue(process["executable"])
                here.ends_well(self)

    def test_deleted(self):
        for name in ("python3", "uwsgi", "gone (deleted)"):
            path = self.copy_of_python("bin", name)
            with self.subTest(name), Place([path, PARKED]) as here:
                os.unlink(path)
                self.assertTrue(os.readlink(f"/proc/{here.pid}/exe").endswith(" (deleted)"))
                here.check(self, "--native")
                # The folder too.
                shutil.rmtree(self.folder / "bin")
                here.check(self, "--native")
                here.ends_well(self)

    def test_replaced(self):
        """An upgrade while it runs: at the path there is another file."""
        for replacement in (lambda path: shutil.copy("/bin/sleep", path), os.mkfifo, os.mkdir):
            path = self.copy_of_python("bin", "python3")
            with self.subTest(replacement), Place([path, PARKED]) as here:
                os.unlink(path)
                replacement(path)
                here.check(self, "--native")
                os.rename(self.folder / "bin", self.folder / "old")
                os.mkdir(self.folder / "bin")
                here.check(self, "--native")
                here.ends_well(self)
            shutil.rmtree(self.folder / "bin")
            shutil.rmtree(self.folder / "old", ignore_errors=True)

    def test_replaced_by_another_python_of_the_same_name(self):
        path = self.copy_of_python("bin", "python3")
        with Place([path, PARKED]) as here:
            os.unlink(path)
            data = bytearray(pathlib.Path(os.path.realpath(SYSTEM_PYTHON)).read_bytes())
            pathlib.Path(path).write_bytes(data[: len(data) // 2])  # an upgrade that is being written
            here.check(self, "--native")
            here.ends_well(self)

    def test_memfd(self):
        with Place([place.built("memfd_run"), os.path.realpath(SYSTEM_PYTHON), PARKED]) as here:
            self.assertEqual(os.readlink(f"/proc/{here.pid}/exe"), "/memfd:python (deleted)")
            here.check(self, "--native")
            here.ends_well(self)

    def test_started_by_the_loader(self):
        loader = next(each for each in ("/lib64/ld-linux-x86-64.so.2",) if os.path.exists(each))
        for name in ("python3", "uwsgi"):
            with self.subTest(name), Place([loader, self.copy_of_python(name), PARKED]) as here:
                self.assertIn("ld-", os.readlink(f"/proc/{here.pid}/exe"))
                here.check(self, "--native")
                here.ends_well(self)

    def test_the_executable_mapped_once_more(self):
        """What ctypes and debuggers do: the file is there twice, and runs once."""
        code = "import mmap, os, sys; f = open(sys.executable, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC); sys.argv = sys.argv[1:]; exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))"
        with Place([SYSTEM_PYTHON, "-c", code, PARKED]) as here:
            here.check(self)
            here.ends_well(self)


if __name__ == "__main__":
    place.program.executable()
    unittest.main(verbosity=2)
