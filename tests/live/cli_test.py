#!/usr/bin/python3
"""The command line against real processes: exit codes, messages, and JSON errors of the manual."""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

NOBODY = 65534
SYSTEM = interpreters.system_interpreter()[0]


def free_pid():
    """The pid of a process that has ended."""
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    return child.pid


class Process:
    """A child that is no Python, or one in a state of its own."""

    def __init__(self, *command, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def state_of(pid):
    look = scoped_target.thread_look(pid, pid)
    return look[0] if look else None


class Cli(unittest.TestCase):
    def assert_failure(self, exit_code, code, *arguments, message=None, **more):
        """Fails as text (message on standard error, nothing on standard output) and as JSON."""
        done = program.run(*arguments, **more)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertRegex(text, r"^pythreads: ")
        self.assertNotRegex(text, "ERROR: |runtime error")  # of a sanitizer
        if message:
            self.assertRegex(text, message)
        done = program.run(*arguments, "--json", **more)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertRegex(done.stderr.decode(), r"^pythreads: ")
        document = json.loads(done.stdout)
        self.assertEqual(schema_check.problems(document), [])
        self.assertEqual(document["processes"], [])
        self.assertEqual(document["findings"]["verdict"], "unknown")
        self.assertEqual(len(document["errors"]), 1)
        error = document["errors"][0]
        self.assertEqual((error["exit"], error["code"]), (exit_code, code))
        self.assertTrue(error["message"])
        return error

    # Usage

    def test_wrong_usage(self):
        for arguments in (
            ["dump"],
            ["dump", "abc"],
            ["dump", "0"],
            ["dump", "-5"],
            ["dump", "1x"],
            ["dump", "99999999999999999999"],
            ["dump", "--no-such-option", "1"],
            ["dump", "--format", "yaml", "1"],
            ["dump", "--deadline", "soon", "1"],
            ["show"],
            ["nothing"],
        ):
            with self.subTest(arguments):
                error = self.assert_failure(64, "wrong_usage", *arguments)
                self.assertIsNone(error["pid"])
        done = program.run()
        self.assertEqual((done.returncode, done.stdout), (64, b""))

    def test_help_and_version(self):
        for arguments in (["--help"], ["-h"], ["dump", "--help"], ["show", "--help"]):
            done = program.run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertIn(b"Usage: pythreads", done.stdout)
        done = program.run("--version")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertRegex(done.stdout, rb"^pythreads \d+\.\d+\.\d+\n$")

    # Processes that can't be dumped

    def test_no_such_process(self):
        pid = free_pid()
        error = self.assert_failure(66, "no_such_process", "dump", pid)
        self.assertEqual(error["pid"], pid)
        self.assert_failure(66, "no_such_process", "dump", 2**31 - 1)

    def test_not_python(self):
        with Process("/bin/sleep", "1000") as sleep:
            error = self.assert_failure(65, "not_python", "dump", sleep.pid)
            self.assertEqual(error["pid"], sleep.pid)
            self.assertEqual(state_of(sleep.pid), "S")

    @unittest.skipIf(os.uname().machine != "x86_64", "the other architecture here is made by x86's assembler")
    def test_program_of_another_architecture(self):
        with tempfile.TemporaryDirectory() as folder:
            # pause(), for ever.
            source = ".globl _start\n_start: mov $29, %eax\nint $0x80\njmp _start\n"
            subprocess.run(["as", "--32", "-o", f"{folder}/it.o"], input=source, text=True, check=True)
            subprocess.run(["ld", "-m", "elf_i386", f"{folder}/it.o", "-o", f"{folder}/it"], check=True)
            try:
                target = Process(f"{folder}/it")
            except OSError as error:
                self.skipTest(f"this kernel runs no 32-bit program: {error}")
            with target as process:
                self.assert_failure(69, "unsupported", "dump", str(process.pid), message="a program for 32-bit x86")

    def test_kernel_thread(self):
        # kthreadd, where /proc shows the host's; 66 or 65 by what the kernel lets us see.
        try:
            with open("/proc/2/cmdline", "rb") as file:
                kernel_thread = file.read() == b"" and os.stat("/proc/2").st_uid == 0
            os.readlink("/proc/2/exe")
            kernel_thread = False
        except OSError as error:
            kernel_thread = isinstance(error, FileNotFoundError) and os.path.exists("/proc/2")
        if not kernel_thread:
            print("kernel thread: none to be seen here")
            return
        self.assertIn(program.run("dump", 2).returncode, (65, 77))

    def test_zombie(self):
        child = subprocess.Popen(["/bin/true"])
        wait_for(lambda: state_of(child.pid) == "Z")
        try:
            self.assert_failure(66, "zombie", "dump", child.pid)
        finally:
            child.wait()

    def test_zombie_leader_with_living_threads(self):
        code = (
            "import ctypes, os, threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(0.1), os.write(1, b'x'), time.sleep(1000))).start()\n"
            "ctypes.CDLL(None).pthread_exit(None)\n"
        )
        with Process("/usr/bin/python3", "-c", code) as target:
            wait_for(lambda: state_of(target.pid) == "Z")
            done = program.run("dump", target.pid, "--json")
            self.assertIn(done.returncode, (0, 66), done.stderr)
            self.assertEqual(schema_check.problems(json.loads(done.stdout)), [])

    def test_process_that_ends_meanwhile(self):
        seen = set()
        for number in range(30):
            code = f"import os, time; os.write(1, b'x'); time.sleep({0.01 * number})"
            with Process("/usr/bin/python3", "-ISc", code) as target:
                target.stdout.read(1)
                done = program.run("dump", target.pid, "--json")
                seen.add(done.returncode)
                if b"no more" not in done.stderr:  # the interpreter is gone, the process is not
                    self.assertIn(done.returncode, (0, 66), done.stderr)
                self.assertEqual(schema_check.problems(json.loads(done.stdout)), [])
                wait_for(lambda: target.poll() is not None)
                self.assertEqual(target.returncode, 0)
        self.assertIn(0, seen)

    def test_process_that_begins(self):
        """Looked at from its first microsecond on: no answer is wrong, and it always goes on."""
        seen = set()
        for number in range(30):
            with Process("/usr/bin/python3", "-c", "import asyncio, os; os.write(1, b'x')") as target:
                time.sleep(0.002 * number)  # a different moment each time, not a wait for something
                done = program.run("dump", target.pid, "--json")
                seen.add(done.returncode)
                self.assertIn(done.returncode, (0, 65, 66), done.stderr)
                self.assertEqual(schema_check.problems(json.loads(done.stdout)), [])
                self.assertEqual(target.stdout.read(1), b"x")
                wait_for(lambda: target.poll() is not None)
                self.assertEqual(target.returncode, 0)

    def test_not_permitted_for_another_user(self):
        if os.geteuid() != 0:
            error = self.assert_failure(77, "not_permitted", "dump", 1)
            self.assertIn("uid", error["message"])
            return
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            # The build's folder may be closed to others.
            copy = shutil.copy(program.executable(), folder)
            with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
                before = os.environ["PYTHREADS_EXECUTABLE"]
                os.environ["PYTHREADS_EXECUTABLE"] = copy
                try:
                    error = self.assert_failure(
                        77, "not_permitted", "dump", target.pid, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/"
                    )
                finally:
                    os.environ["PYTHREADS_EXECUTABLE"] = before
                self.assertIn("uid", error["message"])
                self.assertEqual({state for state, _ in target.states().values()}, {"S"})

    def test_not_dumpable(self):
        if os.geteuid() != 0:
            print("not dumpable: only root can start both as another user")
            return
        code = "import ctypes, os; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); os.write(1, b'x'); os.read(0, 1)"
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            copy = shutil.copy(program.executable(), folder)
            with Process("/usr/bin/python3", "-c", code, **as_nobody) as target:
                target.stdout.read(1)
                before = os.environ["PYTHREADS_EXECUTABLE"]
                os.environ["PYTHREADS_EXECUTABLE"] = copy
                try:
                    error = self.assert_failure(77, "not_permitted", "dump", target.pid, **as_nobody)
                finally:
                    os.environ["PYTHREADS_EXECUTABLE"] = before
                self.assertRegex(error["message"], "dump")

    def test_already_traced(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            tids = [str(each) for each in target.tids]
            with Process("/usr/bin/python3", str(HERE / "traces.py"), *tids) as tracer:
                self.assertEqual(tracer.stdout.readline(), b"traced\n")
                error = self.assert_failure(77, "already_traced", "dump", target.pid)
                self.assertIn(str(tracer.pid), error["message"])
                self.assertEqual(set(target.states().values()), {("S", tracer.pid)})

    def test_one_thread_is_already_traced(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            for tid in (target.pid, target.tids[-1]):
                with Process("/usr/bin/python3", str(HERE / "traces.py"), str(tid)) as tracer:
                    self.assertEqual(tracer.stdout.readline(), b"traced\n")
                    done = program.run("dump", target.pid, "--json")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    document = json.loads(done.stdout)
                    self.assertEqual(schema_check.problems(document), [])
                    threads = {each["tid"]: each for each in document["processes"][0]["threads"]}
                    # It is read as it ran, and that is said.
                    self.assertEqual([each for each in threads if not threads[each]["held"]], [tid])
                    self.assertTrue(threads[tid]["frames"])
                    gaps = [each for each in document["processes"][0]["gaps"] if str(tid) in each["where"]]
                    self.assertTrue(gaps)
                    states = target.states()
                    self.assertEqual(states.pop(tid), ("S", tracer.pid))
                    self.assertEqual({tracer_pid for _, tracer_pid in states.values()}, {0})

    # States that a target may be in

    def test_stopped_target_is_read_and_stays_stopped(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            target.stop()
            done = program.run("dump", target.pid, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            document = json.loads(done.stdout)
            process = document["processes"][0]
            self.assertEqual(process["state"], "stopped")
            self.assertEqual({each["state"] for each in process["threads"]}, {"stopped"})
            self.assertEqual(schema_check.problems(document), [])
            for each in process["threads"]:
                self.assertTrue(each["held"] and each["frames"])
            self.assertEqual(set(target.states().values()), {("T", 0)})
            os.kill(target.pid, signal.SIGCONT)
            target.wait_until_parked()

    def test_no_stop(self):
        with scoped_target.ScopedTarget(SYSTEM, "rlock_deadlock") as target:
            done = program.run("dump", target.pid, "--no-stop", "--json")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            document = json.loads(done.stdout)
            self.assertEqual(schema_check.problems(document), [])
            self.assertFalse(document["source"]["stopped"])
            process = document["processes"][0]
            self.assertEqual({each["held"] for each in process["threads"]}, {False})
            self.assertEqual(len(process["threads"]), len(target.tids))
            for each in process["threads"]:
                self.assertTrue(each["frames"])

    def test_it_dumps_who_runs_it(self):
        for options in (["--full"], ["--json"], ["--native", "--full"]):
            with Process(
                "/usr/bin/python3", "-B", str(HERE / "dumps_itself.py"), program.executable(), *options
            ) as target:
                said = target.stdout.readline().split()
                self.assertEqual(said[:1], [b"0"], target.stdout.read())
                self.assertGreater(int(said[1]), 1 << 20)

    def test_inside_a_pid_namespace(self):
        code = "import os, threading; os.write(1, b'%d\\n' % os.getpid()); os.read(0, 1)"
        command = ["unshare", "--pid", "--fork", "--kill-child", "/usr/bin/python3", "-c", code]
        if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            print("pid namespace: cannot be made here")
            return
        with Process(*command) as unshare:
            self.assertEqual(unshare.stdout.readline(), b"1\n")
            with open(f"/proc/{unshare.pid}/task/{unshare.pid}/children", encoding="ascii") as file:
                child = int(file.read().split()[0])
            done = program.run("dump", child, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            process = json.loads(done.stdout)["processes"][0]
            self.assertEqual(process["pid"], child)
            self.assertEqual(process["namespace_pids"][-1], 1)
            thread = process["threads"][0]
            self.assertEqual((thread["tid"], thread["namespace_tid"]), (child, 1))
            self.assertEqual(thread["frames"][-1]["file"], "<string>")

    # Several processes, options of output

    def test_one_of_two_fails(self):
        pid = free_pid()
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            done = program.run("dump", pid, target.pid, "--json")
            self.assertEqual(done.returncode, 66)
            document = json.loads(done.stdout)
            self.assertEqual(schema_check.problems(document), [])
            self.assertEqual([each["pid"] for each in document["processes"]], [target.pid])
            self.assertEqual([each["pid"] for each in document["errors"]], [pid])
            done = program.run("dump", target.pid, pid)
            self.assertEqual(done.returncode, 66)
            self.assertIn(b"Thread 0x", done.stdout)

    def test_two_processes(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as one:
            with scoped_target.ScopedTarget(SYSTEM, "rlock_deadlock") as two:
                done = program.run("dump", one.pid, two.pid, "--json")
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                document = json.loads(done.stdout)
                self.assertEqual(schema_check.problems(document), [])
                self.assertEqual([each["pid"] for each in document["processes"]], [one.pid, two.pid])
                self.assertEqual(document["processes"][1]["verdict"], "deadlock")
                self.assertNotEqual(document["processes"][0]["verdict"], "deadlock")
                self.assertEqual(document["findings"]["verdict"], "deadlock")

    def test_output_file(self):
        with tempfile.TemporaryDirectory() as folder, scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            path = pathlib.Path(folder, "dump.json")
            done = program.run("dump", target.pid, "--json", "--output", path)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            self.assertEqual(json.loads(path.read_bytes())["processes"][0]["pid"], target.pid)
            # Again over what is there, and never through a link.
            kept = pathlib.Path(folder, "kept")
            kept.write_text("kept")
            link = pathlib.Path(folder, "link")
            link.symlink_to(kept)
            program.run("dump", target.pid, "--output", link)
            self.assertEqual(kept.read_text(), "kept")
            done = program.run("dump", target.pid, "--output", "/nowhere/at/all")
            self.assertEqual(done.returncode, 74)
            self.assertEqual(sorted(each.name for each in pathlib.Path(folder).iterdir()), ["dump.json", "kept", "link"])

    def test_output_that_is_full_or_closed(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            for options in ([], ["--json"]):
                command = [program.executable(), "dump", str(target.pid), *options]
                with open("/dev/full", "wb") as full:
                    done = subprocess.run(
                        command, stdout=full, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
                    )
                self.assertEqual(done.returncode, 74)
                self.assertRegex(done.stderr, rb"^pythreads: ")
                read_end, write_end = os.pipe()
                os.close(read_end)
                try:
                    done = subprocess.run(
                        command, stdout=write_end, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
                    )
                finally:
                    os.close(write_end)
                self.assertIn(done.returncode, (74, -signal.SIGPIPE))
            self.assertEqual(set(target.states().values()), {("S", 0)})

    def test_private_things_are_hidden(self):
        code = "import os; os.write(1, b'x'); os.read(0, 1)"
        secrets = ["--password=hunter2", "--api-token", "tok-abc", "postgres://me:hunter3@db/x", "SECRET_KEY=hunter4"]
        with Process("/usr/bin/python3", "-c", code, *secrets, "visible") as target:
            target.stdout.read(1)
            for options in ([], ["--json"]):
                text = program.run("dump", target.pid, *options).stdout.decode()
                self.assertIn("visible", text)
                self.assertNotRegex(text, "hunter[0-9]|tok-abc")
                text = program.run("dump", target.pid, "--no-redact", *options).stdout.decode()
                for secret in ("hunter2", "tok-abc", "hunter3", "hunter4"):
                    self.assertIn(secret, text)

    def test_deadline(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            done = program.run("dump", target.pid, "--deadline", "0ms", "--json")
            self.assertIn(done.returncode, (0, 75), done.stderr)
            self.assertEqual(schema_check.problems(json.loads(done.stdout)), [])
            self.assertEqual(set(target.states().values()), {("S", 0)})

    def test_interrupted_while_it_works(self):
        """SIGINT and SIGTERM end it at whatever moment, and the target goes on."""
        with scoped_target.ScopedTarget(SYSTEM, "many_threads") as target:
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            for number in range(20):
                running = subprocess.Popen(
                    [program.executable(), "dump", str(target.pid)], stdout=subprocess.DEVNULL, env=environment
                )
                time.sleep(0.004 * number)  # a different moment each time
                running.send_signal(signal.SIGINT if number % 2 else signal.SIGTERM)
                running.wait(60)
                self.assertIn(running.returncode, (0, -signal.SIGINT, -signal.SIGTERM))
                wait_for(lambda: set(target.states().values()) == {("S", 0)})

    # show

    def test_show_of_what_is_no_dump(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assert_failure(66, "no_such_process", "show", pathlib.Path(folder, "none"))
            for text in ("", "{", "[]", "{}", '{"schema": "other/1"}', "null", "\0\0", "[" * 100000, '{"schema": 1}'):
                path = pathlib.Path(folder, "file")
                path.write_text(text)
                with self.subTest(text[:20]):
                    self.assert_failure(65, "not_python", "show", path)
            path.write_text('{"schema": "pythreads/2"}')
            self.assert_failure(69, "unsupported", "show", path)
            self.assertNotEqual(program.run("show", folder).returncode, 0)

    def test_show_reads_a_file_and_standard_input(self):
        with tempfile.TemporaryDirectory() as folder, scoped_target.ScopedTarget(SYSTEM, "rlock_deadlock") as target:
            path = pathlib.Path(folder, "dump.json")
            program.run("dump", target.pid, "--json", "--native", "-o", path)
            for options in ([], ["--native"], ["--explain", "--full"], ["--only-blocked"], ["--group"]):
                from_file = program.run("show", path, *options)
                from_input = program.run("show", "-", *options, stdin=path.read_bytes())
                self.assertEqual((from_file.returncode, from_file.stderr), (0, b""))
                self.assertEqual(from_file.stdout, from_input.stdout)
                self.assertTrue(from_file.stdout)
            colored = program.run("show", path, "--color", "always").stdout.decode()
            self.assertEqual(re.sub(r"\x1b\[[0-9;]*m", "", colored), program.run("show", path).stdout.decode())

    def test_a_json_that_is_cut_anywhere_is_refused(self):
        with scoped_target.ScopedTarget(SYSTEM, "generators") as target:
            text = program.run("dump", target.pid, "--json").stdout
        for number in range(1, 20):
            done = program.run("show", "-", stdin=text[: len(text) * number // 20])
            self.assertEqual((done.returncode, done.stdout), (65, b""))


if __name__ == "__main__":
    program.executable()
    unittest.main()
