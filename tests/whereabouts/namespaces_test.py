#!/usr/bin/python3
"""Real mount, pid and user namespaces: whose files, whose pids, whose users."""

import ctypes
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import place
from place import PARKED, SYSTEM_PYTHON, Place, dump

PYTHON = shlex.join([SYSTEM_PYTHON, PARKED])
IN_PIDS = ["unshare", "--pid", "--fork", "--kill-child"]


def works(*command):
    return subprocess.run([*command, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0


def in_namespaces_of(pid, *more):
    return ["nsenter", "--target", str(pid), *more]


class PidNamespaces(unittest.TestCase):
    def setUp(self):
        if not works(*IN_PIDS):
            self.skipTest("no pid namespace can be made here")

    def test_both_numbers_are_told(self):
        with Place([*IN_PIDS, "sh", "-c", f"{PYTHON}; true"]) as here:
            pid = here.host_pid()
            self.assertNotEqual(pid, here.truth["pid"])
            process = here.check(self)
            self.assertEqual(process["namespace_pids"], [pid, here.truth["pid"]])
            tids = set(map(int, os.listdir(f"/proc/{pid}/task")))
            for thread in process["threads"]:
                self.assertIn(thread["tid"], tids)
                self.assertNotEqual(thread["tid"], thread["namespace_tid"])
            text = place.program.dump(pid).stdout.decode()
            self.assertIn(f"Process {pid} ({here.truth['pid']} in its pid namespace): Python", text)
            for thread in process["threads"]:
                self.assertIn(f" tid {thread['tid']}, {thread['namespace_tid']} inside, ", text)
            # Of what is said of waits and owners, every thread is one of the host's.
            graph = json.loads(place.program.dump("--json", pid).stdout)["findings"]
            for edge in graph["edges"]:
                self.assertLessEqual({edge["from"]["tid"], edge["to"]["tid"]}, tids)

    def test_two_deep(self):
        with Place([*IN_PIDS, *IN_PIDS, "sh", "-c", f"{PYTHON}; true"]) as here:
            pid = here.host_pid()
            process = here.check(self)
            self.assertEqual(len(process["namespace_pids"]), 3)
            self.assertEqual((process["namespace_pids"][0], process["namespace_pids"][-1]), (pid, here.truth["pid"]))

    def test_without_a_stop(self):
        with Place([*IN_PIDS, "sh", "-c", f"{PYTHON}; true"]) as here:
            pid = here.host_pid()
            done = place.program.dump("--json", "--no-stop", pid)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            threads = {each["name"]: each for each in json.loads(done.stdout)["processes"][0]["threads"]}
            for name, told in here.truth["threads"].items():
                self.assertEqual(threads[name]["namespace_tid"], told["native_id"])

    def test_from_inside(self):
        """pythreads in the container, by the pid that it has there."""
        with Place([*IN_PIDS, "--mount-proc", "sh", "-c", f"{PYTHON}; true"]) as here:
            command = in_namespaces_of(here.host_pid(), "--pid", "--mount")
            done = place.program.dump("--json", here.truth["pid"], before=command)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            process = json.loads(done.stdout)["processes"][0]
            self.assertEqual(process["pid"], here.truth["pid"])
            self.assertEqual(process["namespace_pids"], [here.truth["pid"]])
            tids = {each["native_id"] for each in here.truth["threads"].values()}
            self.assertEqual({each["tid"] for each in process["threads"]}, tids)

    def test_proc_of_another_namespace(self):
        """Inside, with the host's /proc: its numbers are not those of the kernel's calls; nothing may be stopped."""
        with Place([*IN_PIDS, "sh", "-c", f"{PYTHON}; true"]) as here:
            for pid in (here.truth["pid"], here.host_pid(), 1):
                done = place.program.dump("--json", pid, before=in_namespaces_of(here.host_pid(), "--pid"))
                error = json.loads(done.stdout)["errors"][0]
                self.assertEqual((done.returncode, error["code"]), (66, "unreadable"))
                self.assertIn("/proc is of another pid namespace", error["message"])
                self.assertTrue(error["hint"])
            here.check(self)

    def test_proc_of_a_namespace_below(self):
        with Place([*IN_PIDS, "--mount-proc", "sh", "-c", f"{PYTHON}; true"]) as here:
            # Sanitizers need /proc/self, which there is none of.
            done = place.program.dump("--json", here.truth["pid"], before=in_namespaces_of(here.host_pid(), "--mount"), by=place.program.released())
            error = json.loads(done.stdout)["errors"][0]
            self.assertEqual((done.returncode, error["code"]), (66, "unreadable"))
            self.assertIn("where pythreads has no pid", error["message"])


class UserNamespaces(unittest.TestCase):
    COMMAND = ["unshare", "--user", "--map-root-user", *IN_PIDS[1:], "--mount-proc"]

    def setUp(self):
        if not works(*self.COMMAND):
            self.skipTest("no user namespace can be made here")

    def test_from_outside(self):
        with Place([*self.COMMAND, "sh", "-c", f"{PYTHON}; true"]) as here:
            here.check(self, "--native")

    def test_from_inside_as_its_root(self):
        with Place([*self.COMMAND, "sh", "-c", f"{PYTHON}; true"]) as here:
            command = in_namespaces_of(here.host_pid(), "--user", "--pid", "--mount", "--preserve-credentials")
            for options in ([], ["--native"]):
                done = place.program.dump("--json", *options, here.truth["pid"], before=command)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                process = json.loads(done.stdout)["processes"][0]
                names = {each["name"] for each in process["threads"]}
                self.assertEqual(names, set(here.truth["threads"]))

    def test_from_inside_a_process_outside(self):
        """Its root is nobody outside: refused, and the reason is the namespace."""
        with Place([SYSTEM_PYTHON, PARKED]) as outside:
            done = place.program.dump("--json", outside.pid, before=["unshare", "--user", "--map-root-user"])
            error = json.loads(done.stdout)["errors"][0]
            self.assertEqual((done.returncode, error["code"]), (77, "not_permitted"))
            self.assertIn("user namespace", error["message"])
            outside.check(self)


class MountNamespaces(unittest.TestCase):
    """A tree of the system's own folders with one file changed: what the target has at a path is not what we have."""

    def setUp(self):
        if not works("unshare", "--mount"):
            self.skipTest("no mount namespace can be made here")
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.python = os.path.realpath(SYSTEM_PYTHON)

    def inside(self, script):
        return Place(["unshare", "--mount", "sh", "-ec", script])

    def test_overlayfs(self):
        """overlayfs shows other device numbers in maps than to stat(2)."""
        for name in ("lower", "layers", "merged"):
            (self.folder / name).mkdir()
        shutil.copy(self.python, self.folder / "lower" / "python3")
        lower, layers, merged = (self.folder / name for name in ("lower", "layers", "merged"))
        mount = (
            f"mount -t tmpfs none {layers}; mkdir {layers}/changes {layers}/scratch; mount -t overlay overlay"
            f" -o lowerdir={lower},upperdir={layers}/changes,workdir={layers}/scratch {merged}"
        )
        if not works("unshare", "--mount", "sh", "-ec", mount + '; "$0"'):
            self.skipTest("no overlayfs can be mounted here")
        for change in ("true", f"cp {self.python} {self.folder}/merged/python3"):
            with self.subTest(change), self.inside(
                f"{mount}; {change}; exec {self.folder}/merged/python3 {PARKED}"
            ) as here:
                here.check(self, "--native")
                here.ends_well(self)

    def test_a_file_that_is_bound(self):
        empty = self.folder / "python3"
        empty.touch()
        with self.inside(f"mount --bind {self.python} {empty}; exec {empty} {PARKED}") as here:
            self.assertEqual(empty.stat().st_size, 0)
            here.check(self, "--native")
            here.ends_well(self)

    def test_the_mount_is_gone(self):
        """Unmounted lazily while it runs: no path leads to the file."""
        place_of = self.folder / "mnt"
        place_of.mkdir()
        script = (
            f"mount -t tmpfs none {place_of}; cp {self.python} {place_of}/python3; "
            f"{place_of}/python3 {PARKED} & umount -l {place_of}; wait"
        ).replace(f"{PARKED} &", f"{PARKED} <&3 &")
        with self.inside(f"exec 3<&0; {script}") as here:
            here.check(self, "--native")

    def chroot(self, *prepare):
        """A root with the system's folders bound into it, whose /app is our own to spoil."""
        root = self.folder / "root"
        for name in ("usr", "etc", "proc", "dev", "tests", "app"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("lib", "lib64", "bin"):
            if os.path.islink("/" + name) and not (root / name).is_symlink():
                os.symlink(os.readlink("/" + name), root / name)
        shutil.copy(self.python, root / "app" / "python3")
        lines = [f"mount --bind /{each} {root}/{each}" for each in ("usr", "etc", "dev")]
        lines += [f"mount --bind {place.TESTS} {root}/tests", f"mount -t proc proc {root}/proc", *prepare]
        return root, "; ".join(lines)

    def test_links_that_lead_out_of_the_root(self):
        """At the path of what runs the container puts a link: it is followed inside, never to the host's file."""
        secret = self.folder / "secret"
        secret.write_bytes(pathlib.Path("/bin/sleep").read_bytes())
        root, mounts = self.chroot()
        script = f"{mounts}; exec chroot {root} /app/python3 /tests/whereabouts/parked.py"
        for target in (str(secret), "../" * 20 + str(secret).lstrip("/"), f"/proc/1/root{secret}", "/dev/zero"):
            shutil.copy(self.python, root / "app" / "python3")
            with self.subTest(target), self.inside(script) as here:
                os.unlink(root / "app" / "python3")
                os.symlink(target, root / "app" / "python3")
                before = secret.stat().st_atime_ns
                process = here.check(self, "--native")
                self.assertEqual(process["executable"], "/app/python3")
                self.assertEqual(secret.stat().st_atime_ns, before)
                here.ends_well(self)
            os.unlink(root / "app" / "python3")

    def test_a_fifo_or_a_device_in_the_place_of_a_library(self):
        """Opening one has effects: a FIFO would hang us."""
        root, mounts = self.chroot()
        library = next(pathlib.Path("/usr/lib/x86_64-linux-gnu").glob("libexpat.so.1"), None)
        self.assertIsNotNone(library)
        shutil.copy(os.path.realpath(library), root / "app" / "libexpat.so.1")
        script = f"{mounts}; LD_LIBRARY_PATH=/app exec chroot {root} /app/python3 /tests/whereabouts/parked.py"
        for make in (os.mkfifo, lambda path: os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))):
            shutil.copy(os.path.realpath(library), root / "app" / "libexpat.so.1")
            with self.subTest(make), self.inside(script) as here:
                with open(f"/proc/{here.pid}/maps", encoding="utf-8") as maps:
                    self.assertIn("/app/libexpat.so.1", maps.read())
                os.unlink(root / "app" / "libexpat.so.1")
                make(root / "app" / "libexpat.so.1")
                here.check(self, "--native", seconds=60)
                here.ends_well(self)
            os.unlink(root / "app" / "libexpat.so.1")


if __name__ == "__main__":
    place.program.executable()
    unittest.main(verbosity=2)
