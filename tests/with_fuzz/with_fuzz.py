#!/usr/bin/python3
"""Random code made of `with`, stopped at random: what open blocks say against the owner fields of RLocks.

with_fuzz.py COMPARE_HOLDS [SLOTS]: live with slots over all interpreters found; without SLOTS 800 on each, with
PYTHREADS_TEST_ALL 100,000 in all. Fails for one false hold, and for 1 % or more missed over all together (2 % of a
short run, whose threads start and end more often); what is missed under a tracer, which is met at the edges of blocks
most of the time, is printed beside. (A dump says less of an RLock: a block that its owner field speaks against is not
told.)
"""

import os
import pathlib
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import scoped_target  # noqa: E402

LOOKS = 100
WAYS = ["", "", "", "trace", "profile", "monitor", "opcodes"]
MOST_MISSED, MOST_MISSED_SHORT = 0.01, 0.02


def fuzz(compare, interpreter, seed, how, jit):
    """(slots, false, missed) of one written program."""
    environment = scoped_target.environment()
    if jit:
        environment["PYTHON_JIT"] = "1"
    target = subprocess.Popen(
        [*interpreter["command"], "-Wignore", str(HERE / "target.py"), str(seed), *([how] if how else [])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/", start_new_session=True,
    )
    try:
        locks = target.stdout.readline().decode().split()
        if not locks:
            raise RuntimeError(f"the target did not come up with seed {seed}")
        done = subprocess.run([compare, str(target.pid), str(LOOKS), *locks], capture_output=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode()[-1000:])
        if done.stderr:
            print(f"{interpreter['name']} seed {seed} {how}: {done.stderr.decode()[:600]}", end="")
        return tuple(map(int, done.stdout.split()))
    finally:
        os.killpg(target.pid, signal.SIGKILL)
        target.wait()
        target.stdin.close()
        target.stdout.close()


def main():
    compare = sys.argv[1]
    found = interpreters.for_scenarios(interpreters.find_interpreters())
    each = 800
    if len(sys.argv) > 2 or os.environ.get("PYTHREADS_TEST_ALL"):
        each = int(sys.argv[2] if len(sys.argv) > 2 else 100_000) // max(1, len(found)) + 1
    total = [0, 0, 0]
    for interpreter in found:
        sums = [0, 0, 0]
        traced = [0, 0, 0]
        seed = 0
        while sums[0] < each and seed < 400:
            how = WAYS[seed % len(WAYS)] if each > 1000 or seed > 1 else ""
            seed += 1
            jit = interpreter["version"] >= "3.14" and seed % 2 == 0
            into = traced if how else sums
            for i, value in enumerate(fuzz(compare, interpreter, seed, how, jit)):
                into[i] += value
        print(
            f"{interpreter['name']:16} {sums[0]:7} slots {sums[1]:3} false {100 * sums[2] / max(1, sums[0]):5.2f} % missed"
            f"   traced: {traced[0]:6} slots {traced[1]:3} false {100 * traced[2] / max(1, traced[0]):5.2f} % missed",
            flush=True,
        )
        for i in range(3):
            total[i] += sums[i]
        total[1] += traced[1]
    missed = total[2] / max(1, total[0])
    print(f"{total[0]} slots, {total[1]} false, {100 * missed:.2f} % missed")
    most = MOST_MISSED if total[0] >= 50_000 else MOST_MISSED_SHORT
    sys.exit(1 if total[1] or missed >= most or not total[0] else 0)


if __name__ == "__main__":
    main()
