"""Clean Debian roots for the tests of packages, and the running of programs in them.

mmdebstrap makes a root of the distribution's own packages, configured as on a machine; nothing of the host is in it. The
mirror and the way to it are those of the host's apt (tests/interpreters/fetch.py). A root is kept as an archive and
unpacked anew for each test.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interpreters"))
import fetch  # noqa: E402

PACKAGES = ["python3", "python3-venv"]
HUNG = """
import threading
locks = threading.Lock(), threading.Lock()
both = threading.Barrier(2)
def take(first, second):
    with locks[first]:
        both.wait()
        with locks[second]:
            pass
for order in (0, 1), (1, 0):
    threading.Thread(target=take, args=order).start()
"""


def archive(suite):
    """The archive of a clean root, made if it is not there."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    base = pathlib.Path(cache, "pythreads", "roots")
    place = base / f"{suite}.tar"
    with fetch.only_one(base):
        if not place.exists():
            mirrors = fetch.mirrors(fetch.read_sources("/etc/apt"), fetch.host_codename())
            if not mirrors:
                raise fetch.FetchError("the host's apt sources name no Debian mirror")
            options = [f"--aptopt={line.rstrip(';')}" for line in fetch.host_acquire_settings()]
            half = base / f".{suite}.tar"
            fetch.run(["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(PACKAGES)}", "--quiet", *options,
                       suite, str(half), f"deb [signed-by={fetch.KEYRING}] {mirrors[0]} {suite} main"])
            os.rename(half, place)
    return place


@contextlib.contextmanager
def root(suite=None):
    """A root of its own for one test: of a suite, or empty but for the folder where /proc is mounted."""
    with tempfile.TemporaryDirectory(prefix="pythreads-root-") as folder:
        place = pathlib.Path(folder, "root")
        place.mkdir()
        if suite:
            subprocess.run(["tar", "-x", "--numeric-owner", "-C", str(place), "-f", str(archive(suite)), "--exclude=./dev/*"],
                           check=True)
            place.joinpath("etc/resolv.conf").write_bytes(pathlib.Path("/etc/resolv.conf").read_bytes())
        else:
            (place / "proc").mkdir()
        yield place


def command(place, *words):
    """The command that runs `words` in the root, with /proc, and /dev where the root has one, as long as it runs."""
    mounts = 'mount --bind /proc "$0/proc"; [ ! -d "$0/dev" ] || mount --bind /dev "$0/dev"; exec chroot "$0" "$@"'
    return ["unshare", "--mount", "sh", "-ec", mounts, str(place), *words]


def run(place, *words, environment=None):
    """What it prints; an error tells all."""
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command(place, *words), capture_output=True, text=True, check=False, timeout=600,
                          env=environment or plain)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} in {place}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def hung(*python):
    """A real Python that has deadlocked, or is about to; its pid."""
    process = subprocess.Popen([*python, "-c", HUNG])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def assert_dump_tells(place, executable, pid):
    """The executable, run in the root, tells of both threads."""
    deadline = time.monotonic() + 20
    while True:
        said = ""
        with contextlib.suppress(AssertionError):  # it may not be a Python yet
            said = run(place, executable, "dump", str(pid))
        if said.startswith("Verdict: deadlock (certain, lock-cycle)"):
            break
        if time.monotonic() > deadline:
            raise AssertionError(f"no deadlock within 20 s: {said or run(place, executable, 'dump', str(pid))}")
        time.sleep(0.1)
    assert said.count(" in take for ") == 2, said
