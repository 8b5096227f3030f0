"""crowd.py as it runs: a ScopedTarget of so many threads, each so deep, which are blocked, busy or listen to a heart."""

import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "interpreters")]
import interpreters  # noqa: E402
import scoped_target  # noqa: E402

TargetFailed = scoped_target.TargetFailed


def find(names):
    """The interpreters of these names; a name that ends in a dot and digits alone (3.14) is the first of that minor."""
    found = interpreters.find_interpreters()
    chosen = []
    for name in names:
        for each in found:
            minor = ".".join(each["version"].split(".")[:2]) + ("t" if each["free_threaded"] else "")
            if name == each["name"] or (name == minor and not each["debug"] and not each.get("small")):
                chosen.append(each)
                break
        else:
            chosen.append({"name": name, "missing": True})
    return chosen


def limit_of_threads():
    """How many threads one process can have here: of the kernel's limits the least."""
    limits = []
    for path in ("/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"):
        limits.append(int(pathlib.Path(path).read_text(encoding="ascii")))
    # A thread's stack and its guard are two mappings.
    limits.append(int(pathlib.Path("/proc/sys/vm/max_map_count").read_text(encoding="ascii")) // 3)
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
        try:
            most = pathlib.Path(folder, "pids.max").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if most != "max":
            limits.append(int(most))
    return min(limits)


def state_of(pid, tid):
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0].decode()
    except (OSError, IndexError):
        return "X"


class Crowd(scoped_target.ScopedTarget):
    def __init__(self, interpreter, threads, depth, way, seconds=180):
        super().__init__(interpreter, str(HERE / "crowd.py"), [str(threads), str(depth), way], seconds)
        self.threads = threads
        self.way = way

    def wait_until_parked(self):
        deadline = time.monotonic() + self.seconds
        while len(self.tids) != self.threads:
            if time.monotonic() > deadline:
                raise TargetFailed(f"{len(self.tids)} threads, not {self.threads}")
            time.sleep(0.02)
        if self.way == "busy":
            return
        waking = [tid for tid in self.tids if self.way != "beating" or tid != self.pid]
        while waking:
            waking = [tid for tid in waking if state_of(self.pid, tid) != "S"]
            if time.monotonic() > deadline:
                raise TargetFailed(f"{len(waking)} threads did not come to rest")
            time.sleep(0.02 if waking else 0)

    def longest_gap(self):
        """Milliseconds, since it was asked last."""
        os.write(self.process.stdin.fileno(), b"\n")
        return float(self.read_line(60))
