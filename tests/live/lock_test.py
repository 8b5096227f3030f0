#!/usr/bin/python3
"""Every lock scenario: what a dump says of waits, owners, cycles and the verdict equals what the process says of
itself.

A false owner at `certain` or `inferred`, or a false deadlock, fails at once; of all facts together 99 in a hundred
must be found. Environment as for live_test.py; PYTHREADS_FIRED is where the words of the rules are
left that had a part (rule_coverage.py); PYTHREADS_TEST_ALL runs all scenarios on all interpreters. Exit 77: there
was no such interpreter.
"""

import concurrent.futures
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import lock_check  # noqa: E402
import program  # noqa: E402
import schema_check  # noqa: E402
import scoped_target  # noqa: E402

SCENARIOS = HERE.parent / "scenarios" / "locks"
FEW = [
    "conditions", "error_checking_mutex", "explicit_acquire", "finalizer_reentry", "free_threaded", "futures",
    "import_cycle", "interpreter_queues", "joins", "kernel_waits", "leaving", "lock_cycle", "managers", "may_have_failed", "monitored",
    "nested_blocks", "own_lock_class", "pool_starvation", "python_mutex", "queues", "released_inside", "semaphores",
    "streams", "suspended", "thread_handle", "three_cycle", "traced", "unlocked_inside", "unwound",
    "world_held_in_native", "world_stopped",
]
FREE_THREADED = ["two_objects", "two_objects_crossed"]
SHARE = 0.99
MOVING = ("gil", "critical-section", "stop-the-world")

def names():
    return sorted(each.stem for each in SCENARIOS.glob("*.py") if each.stem != "lock_scene")


class Target:
    """A scenario that has told its truth; the process that told it may be a child of the one started."""

    def __init__(self, interpreter, scenario):
        self.process = subprocess.Popen(
            [*interpreter["command"], str(SCENARIOS / f"{scenario}.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=scoped_target.environment(), cwd="/", start_new_session=True,
        )

    def __enter__(self):
        try:
            # One whose threads compute without a GIL takes 20 s on a quiet machine.
            self.truth = json.loads(self.read_line(240))
        except BaseException:
            self.__exit__()
            raise
        self.settle()
        return self

    def read_line(self, seconds):
        data = b""
        deadline = time.monotonic() + seconds
        while not data.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError("it told no truth")
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                raise RuntimeError("no truth: " + self.process.stderr.read().decode(errors="replace")[-1500:])
            data += more
        return data

    def settle(self):
        """The teller goes to rest, and who waits for the GIL comes to wait for it."""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            looks = [scoped_target.thread_look(self.truth["pid"], tid) for tid in self.truth["tids"]]
            if self.truth["tids"] and all(look is None or look[0] == "S" for look in looks):
                return
            time.sleep(0.02 if self.truth["tids"] else 0.3)
            if not self.truth["tids"]:
                return

    def __exit__(self, *_):
        # With what it forked: a session of its own, so that no pipe stays open.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def run_pair(interpreter, scenario):
    """{right, missed, false, fired, seconds} of one scenario on one interpreter."""
    began = time.monotonic()
    result = {"right": 0, "missed": [], "false": [], "fired": set()}
    with Target(interpreter, scenario) as target:
        for look in range(target.truth["locks"]["looks"]):
            done = program.dump(target.truth["pid"], "--json")
            if done.returncode != 0:
                result["false"].append(f"exit {done.returncode}: {done.stderr.decode(errors='replace')[:500]}")
                break
            document = json.loads(done.stdout)
            if look == 0:
                result["false"] += schema_check.problems(document)
            check = lock_check.Check(target.truth, document).run()
            # A thread in take_gil wakes each 5 ms for some microseconds, and may be met then; who waits for a
            # critical section or for the world to go on comes and goes.
            moving = target.truth["locks"].get("moving") or any(
                each["kind"] in MOVING for each in target.truth["locks"]["waits"]
            )
            for _ in range(20 if moving else 0):
                if not check.missed:
                    break
                document = json.loads(program.dump(target.truth["pid"], "--json").stdout)
                check = lock_check.Check(target.truth, document).run()
            result["right"] += check.right
            result["missed"] += check.missed
            result["false"] += check.false
            result["fired"] |= lock_check.fired(document)
        if scenario == "idle_pool":
            check_first_lines(target, result)
    result["seconds"] = time.monotonic() - began
    return result


def check_first_lines(target, result):
    """The pair, both locks by name and the four source lines stand in the first fifteen lines of text."""
    text = program.dump(target.truth["pid"]).stdout.decode()
    head = "\n".join(text.splitlines()[:15])
    source = (SCENARIOS / "idle_pool.py").read_text(encoding="utf-8").splitlines()
    lines = [1 + next(i for i, each in enumerate(source) if each.endswith("# " + mark)) for mark in ("takes", "wants")]
    wanted = ['"transfer-1"', '"transfer-2"', "idle_pool.Account._lock"]
    wanted += [f"idle_pool.py:{line} in transfer" for line in lines]
    for each in wanted:
        if each in head:
            result["right"] += 1
        else:
            result["missed"].append(f"not in the first fifteen lines: {each}\n{head}")


def chosen():
    found = interpreters.find_interpreters()
    wanted = os.environ.get("PYTHREADS_TEST_INTERPRETERS", "")
    if wanted in ("", "system", "others"):
        found = interpreters.for_scenarios(found)
    system = [each for each in found if each["name"].startswith("system-")]
    if wanted == "system":
        found = system
    elif wanted == "others":
        found = [each for each in found if each not in system]
    elif wanted == "jit":
        found = interpreters.jit_interpreters(found)
    elif wanted:
        if "-jit" in wanted:
            found = found + interpreters.jit_interpreters(found)
        found = [each for each in found if each["name"] in wanted.split(",")]
    for interpreter in found:
        if os.environ.get("PYTHREADS_TEST_SCENARIOS"):
            scenarios = os.environ["PYTHREADS_TEST_SCENARIOS"].split(",")
        elif interpreter in system or os.environ.get("PYTHREADS_TEST_ALL"):
            scenarios = names()
        else:
            scenarios = FEW + FREE_THREADED if interpreter["free_threaded"] else FEW
        for scenario in scenarios:
            yield interpreter, scenario


def main():
    pairs = list(chosen())
    if not pairs:
        print("lock_test.py: no such interpreter here; tests/interpreters/fetch.py gets those of Debian's suites")
        sys.exit(77)
    fired = set()
    table = {}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {pool.submit(run_pair, *pair): pair for pair in pairs}
        for done in concurrent.futures.as_completed(running):
            interpreter, scenario = running[done]
            right, missed, false = table.setdefault(interpreter["name"], [0, 0, 0])
            try:
                result = done.result()
            except Exception as error:
                print(f"{interpreter['name']} {scenario}: {type(error).__name__}: {str(error)[:2000]}")
                failed += 1
                continue
            fired |= result["fired"]
            table[interpreter["name"]] = [
                right + result["right"], missed + len(result["missed"]), false + len(result["false"]),
            ]
            for kind in ("false", "missed"):
                for each in result[kind][:8]:
                    print(f"{interpreter['name']} {scenario}: {kind}: {each[:1200]}")
    right, missed, false = (sum(each[i] for each in table.values()) for i in range(3))
    print("Facts:")
    for name, (good, gone, wrong) in sorted(table.items()):
        print(f"  {name:16} {good:5} right  {gone:3} missed  {wrong:3} false")
    share = right / max(1, right + missed)
    print(f"  {right} right, {missed} missed, {false} false: {100 * share:.2f} %")
    if os.environ.get("PYTHREADS_FIRED"):
        tried = [each[0] for each in pairs]
        told = {
            "fired": sorted(fired),
            "free_threaded": any(each["free_threaded"] for each in tried),
            "newest": max(interpreters.minor_of(each["version"]) for each in tried),
        }
        pathlib.Path(os.environ["PYTHREADS_FIRED"]).write_text(json.dumps(told), encoding="ascii")
    if failed or false or share < SHARE or not right:
        sys.exit(1)


if __name__ == "__main__":
    main()
