"""Other files to run an interpreter from than its own: what `run.py --as` knows.

deleted   a copy that is unlinked once it runs, and its libpython likewise
replaced  the same, with another Python put at the paths: an upgrade under a running process
memfd     no path at all: the kernel is given an anonymous file (memfd_create(2))
renamed   a copy whose name says nothing of Python: uwsgi
stripped  without .symtab
embedded  a C program of our own, linked against libpython, that calls Py_BytesMain

Each is made in a scratch folder that the caller names and removes. A copy no longer finds its library by where it
lies, so PYTHONHOME says it; a shared libpython is copied as well and put first by LD_PRELOAD (ld.so takes a loaded
library for the wanted one by its SONAME).
"""

import glob
import os
import re
import shutil
import subprocess
import time

KINDS = ("deleted", "replaced", "memfd", "renamed", "stripped", "embedded")
SECONDS = 30
PROGRAM = """extern int Py_BytesMain(int, char **);
int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
"""


class Executable:
    """What to execute: `path` as the interpreter's root shows it, `descriptor` instead of it for memfd, and `copies`,
    the files of the host that are it and its libraries."""

    def __init__(self, path, copies=(), descriptor=None, environment=None):
        self.path = path
        self.copies = list(copies)
        self.descriptor = descriptor
        self.environment = environment or {}

    def execute(self, arguments):
        os.environ.update(self.environment)
        os.execv(self.path if self.descriptor is None else f"/proc/self/fd/{self.descriptor}", [self.path, *arguments])


def libpython_of(executable, root):
    """The shared libpython that an executable needs, as a path of the host; None if it has its own inside."""
    told = subprocess.run(["readelf", "-d", executable], capture_output=True, text=True, check=False).stdout
    needed = re.search(r"\(NEEDED\).*\[(libpython[^\]]*)\]", told)
    if not needed:
        return None
    beside = os.path.join(os.path.dirname(os.path.dirname(executable)), "lib", needed[1])
    places = [beside, *glob.glob(f"{root.rstrip('/')}/usr/lib/*/{needed[1]}")]
    return next((os.path.realpath(each) for each in places if os.path.exists(each)), None)


def shared_library(name, root):
    """The libpython of a minor version that a C program could be linked with, as a path of the host."""
    match = re.fullmatch(r"python(\d+\.\d+[a-z]?)(-dbg)?", os.path.basename(name))
    if not match:
        return None
    minor, debug = match.groups()
    file = f"libpython{minor}{'d' if debug else ''}.so.1.0"
    beside = os.path.join(os.path.dirname(os.path.dirname(name)), "lib", file)
    return next((each for each in [beside, *glob.glob(f"{root.rstrip('/')}/usr/lib/*/{file}")] if os.path.exists(each)), None)


def link_program(library, scratch, own_path):
    """The C program. Its libpython may need a newer libc than the compiler's: that is the loader's matter."""
    source = os.path.join(scratch, "embedded.c")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM)
    path = os.path.join(scratch, "embedded")
    command = ["cc", "-O1", "-o", path, source, library, "-Wl,--allow-shlib-undefined"]
    if own_path:
        command.append(f"-Wl,-rpath,{os.path.dirname(library)}")
    subprocess.run(command, check=True, capture_output=True)
    return path


def prepare(kind, interpreter, scratch):
    """An Executable of that kind; raises OSError with what is missing."""
    root, inside = interpreter["root"], interpreter["executable"]
    original = root.rstrip("/") + inside
    home = {"PYTHONHOME": os.path.dirname(os.path.dirname(inside))}
    if kind is None:
        return Executable(inside)
    if kind == "memfd":
        descriptor = os.memfd_create("python")
        with open(original, "rb") as source:
            while chunk := source.read(1 << 20):
                os.write(descriptor, chunk)
        # Open for writing, it could not be executed (ETXTBSY).
        readable = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(descriptor)
        return Executable(inside, descriptor=readable, environment=home)
    if kind == "embedded":
        library = shared_library(original, root)
        if library is None:
            raise OSError(2, f"no shared libpython for {inside}")
        return Executable(link_program(library, scratch, root == "/"), environment=home)

    copies = []
    library = libpython_of(original, root)
    for source in filter(None, (original, library)):
        copy = os.path.join(scratch, "uwsgi" if kind == "renamed" and source == original else os.path.basename(source))
        if kind == "stripped":
            subprocess.run(["strip", "-o", copy, source], check=True)
        else:
            shutil.copy2(source, copy)
        copies.append(copy)
    if library:
        home["LD_PRELOAD"] = copies[1]
    return Executable(copies[0], copies, environment=home)


def same_file(one, other):
    try:
        return os.path.samestat(os.stat(one), other)
    except OSError:
        return False


def mapped(pid, name):
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return any(line.rstrip().endswith("/" + name) for line in file)
    except OSError:
        return False


def take_away(pid, copies, replacement):
    """Waits until `pid` runs from the copies, then unlinks them, and puts `replacement` at their places if there is one."""
    status = os.stat(copies[0])
    names = [os.path.basename(each) for each in copies]
    deadline = time.monotonic() + SECONDS
    while not (same_file(f"/proc/{pid}/exe", status) and all(mapped(pid, each) for each in names)):
        if time.monotonic() > deadline or not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.01)
    for copy in copies:
        os.unlink(copy)
        if replacement:
            shutil.copy2(replacement, copy)


def take_away_later(executable, kind):
    """A process of its own, no child of the interpreter that is to come, does it."""
    pid = os.getpid()
    first = os.fork()
    if first != 0:
        os.waitpid(first, 0)
        return
    if os.fork() == 0:
        # The pipes of the interpreter are not to be held open.
        for descriptor in range(3):
            os.close(descriptor)
        take_away(pid, executable.copies, "/usr/bin/python3" if kind == "replaced" else None)
    os._exit(0)
