#!/usr/bin/python3
"""CPython inside of other programs: opened by dlopen and dlmopen, in several copies, not started, linked fully
static, stripped of all that names anything; and a libpython that was deleted or replaced while it runs."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import sysconfig
import tempfile
import unittest

import place
from place import PARKED, Place, dump

EMBEDDER = place.built("embedder")


def shared_libraries():
    """[(version, libpython, PYTHONHOME or None)] of Pythons whose library the host's own linker can load."""
    found = []
    system = pathlib.Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "none")
    for path in (system, pathlib.Path("/usr/lib/x86_64-linux-gnu", sysconfig.get_config_var("INSTSONAME") or "none")):
        if path.exists() and ".so" in path.name:
            found.append((sysconfig.get_python_version(), str(path), None))
            break
    for each in place.interpreters.pyenv_interpreters():
        prefix = pathlib.Path(each["executable"]).parent.parent
        minor = ".".join(each["version"].split(".")[:2])
        suffix = "t" * each["free_threaded"] + "d" * each["debug"]
        library = prefix / "lib" / f"libpython{minor}{suffix}.so.1.0"
        if library.exists():
            found.append((each["version"], str(library), str(prefix)))
    return found


def static_libraries():
    """[(version, libpython.a, PYTHONHOME)] of builds that have one without dependencies outside of libc."""
    found = []
    for each in place.interpreters.pyenv_interpreters():
        # Older archives don't link with -static alone.
        if place.interpreters.minor_of(each["version"]) < (3, 8):
            continue
        prefix = pathlib.Path(each["executable"]).parent.parent
        for library in prefix.glob("lib/python3.*/config-*/libpython3.*.a"):
            found.append((each["version"], str(library), str(prefix)))
    return found


def strip_everything(path):
    """No section headers, and so no symbols, no names of sections: what is left is what the kernel loads."""
    data = bytearray(pathlib.Path(path).read_bytes())
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    end = table + 56 * count
    for index in range(count):
        _, _, offset, _, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", data, table + 56 * index)
        end = max(end, offset + size)
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HH", data, 60, 0, 0)
    pathlib.Path(path).write_bytes(data[:end])


SHARED = shared_libraries()
STATIC = static_libraries()


class Embedding(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def embedded(self, mode, library, home, script=PARKED):
        env = {"PYTHONHOME": home} if home else {}
        return Place([EMBEDDER, mode, library, script], env=env)

    def test_there_is_a_library(self):
        self.assertTrue(SHARED, "no libpython here: python3-dev has the system's")

    def test_opened_by_hand(self):
        for mode in ("local", "apart", "second"):
            for version, library, home in SHARED:
                with self.subTest(f"{mode} {version}"), self.embedded(mode, library, home) as here:
                    process = here.check(self)
                    self.assertEqual(process["python"]["linkage"], "shared")
                    self.assertEqual(process["python"]["library"], os.path.realpath(library))
                    self.assertEqual([each for each in process["gaps"] if "another CPython" in each["reason"]], [])
                    here.ends_well(self)

    def test_not_started_yet(self):
        for version, library, home in SHARED:
            with self.subTest(version), self.embedded("idle", library, home) as here:
                self.assertEqual(here.first_line, "idle")
                code, document, said = dump(here.pid)
                self.assertEqual((code, said), (0, ""))
                (process,) = document["processes"]
                self.assertEqual((process["state"], process["interpreters"]), ("initializing", []))
                self.assertEqual([each["kind"] for each in process["threads"]], ["native"])
                self.assertEqual(process["python"]["library"], os.path.realpath(library))
                said = process["python"]["version"]  # up to 3.10 no more than the minor
                self.assertTrue(version.startswith(said) or said.startswith(version), process["python"])
                gaps = [each["reason"] for each in process["gaps"]]
                self.assertTrue(any("no interpreter yet" in each for each in gaps), gaps)
                here.process.stdin.write(b"\n")
                here.process.stdin.flush()
                here.truth = json.loads(here.read_line())
                here.wait_until_parked()
                here.check(self)
                here.ends_well(self)

    def test_two_that_run(self):
        for version, library, home in SHARED:
            with self.subTest(version), self.embedded("both", library, home) as here:
                self.assertEqual(here.read_line(here.process.stderr), "the other runs")
                process = here.check(self)
                others = [each["reason"] for each in process["gaps"] if "another CPython" in each["reason"]]
                self.assertEqual(len(others), 1, process["gaps"])
                self.assertIn(os.path.realpath(library), others[0])
                self.assertIn(process["python"]["version"], others[0])

    def test_a_library_that_was_deleted_or_replaced(self):
        for version, library, home in SHARED:
            for replacement in (None, os.mkfifo, lambda path: os.symlink("/bin/sleep", path)):
                path = self.folder / "lib" / os.path.basename(library)
                path.parent.mkdir(exist_ok=True)
                shutil.copy(library, path)
                with self.subTest(f"{version} {replacement}"), self.embedded("local", path, home) as here:
                    os.unlink(path)
                    if replacement:
                        replacement(path)
                    here.check(self, "--native")
                    shutil.rmtree(path.parent)
                    here.check(self, "--native")
                    here.ends_well(self)

    def test_a_library_whose_file_is_out_of_reach(self):
        """Deleted, and without the right to open what is mapped: memory alone tells."""
        setpriv = shutil.which("setpriv")
        dropped = "-sys_admin,-checkpoint_restore"
        command = [setpriv, "--bounding-set", dropped, "--inh-caps", dropped]
        if not setpriv or os.geteuid() != 0 or subprocess.run([*command, "true"], check=False).returncode:
            self.skipTest("setpriv can't take away capabilities here")
        for version, library, home in SHARED:
            path = self.folder / os.path.basename(library)
            shutil.copy(library, path)
            with self.subTest(version), self.embedded("local", path, home) as here:
                os.unlink(path)
                done = place.program.dump("--json", here.pid, before=command)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                process = json.loads(done.stdout)["processes"][0]
                self.assertEqual(process["python"]["version"], here.truth["version"])
                names = {each["name"] for each in process["threads"]}
                self.assertLessEqual(set(here.truth["threads"]), names)
                here.ends_well(self)

    def test_a_library_without_section_headers(self):
        for version, library, home in SHARED:
            path = self.folder / "libapplication.so"
            shutil.copy(library, path)
            strip_everything(path)
            with self.subTest(version), self.embedded("local", path, home) as here:
                here.check(self)
                here.ends_well(self)

    # Fully static

    def test_fully_static(self):
        if not STATIC:
            self.skipTest("no libpython.a here that needs nothing but libc (pyenv has them)")
        source = str(place.HERE / "static_python.c")
        for version, library, home in STATIC:
            for link in ("-static", "-static-pie"):
                path = self.folder / "application"
                libraries = ["-lm", "-lpthread", "-ldl", "-lutil", "-lcrypt"]
                subprocess.run(
                    ["cc", link, source, library, *libraries, "-o", path], check=True, stderr=subprocess.DEVNULL
                )
                for strip in (None, lambda file: subprocess.run(["strip", file], check=True), strip_everything):
                    if strip:
                        strip(path)
                    with self.subTest(f"{version} {link} {strip}"):
                        with Place([path, PARKED], env={"PYTHONHOME": home}) as here:
                            process = here.check(self)
                            self.assertEqual(process["python"]["linkage"], "static")
                            here.ends_well(self)


if __name__ == "__main__":
    place.program.executable()
    unittest.main(verbosity=2)
