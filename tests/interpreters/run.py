#!/usr/bin/python3
"""Runs an interpreter: run.py NAME [--how WAY] [--as KIND --scratch FOLDER] -- arguments…

NAME is one of a suite's tree, or the path of an executable of the host. The process that was started becomes the
interpreter (exec, never fork), but for pidns: its pid is the one the caller knows.

plain      as it is; only a path
container  a mount namespace of its own and pivot_root. The new root is a tmpfs with the tree's folders
           bound into it, /proc, /dev and /tmp of the host, the tests of this repository and the script's
           folder at the paths that they have outside. /proc/PID/maps shows /usr/bin/…, which is not what
           the host has there: what an attacher sees of a container.
pidns      the same, and a pid namespace: the interpreter is process 1 of it and the only child of the process
           that was started, and /proc is the namespace's own.
userns     container, and a user namespace: the interpreter is root there and nobody of the host's (100000).
chroot     container without pivot_root: maps show the path that leads there from the namespace's root.
loader     no privilege needed: the tree's own ld.so runs the interpreter, /proc/PID/exe is the loader.

All but plain and loader need CAP_SYS_ADMIN; a user namespace is tried where it is missing.
--as runs it from another file (executables.py).
Sources: mount_namespaces(7), pivot_root(2) (the "." over "." form), pid_namespaces(7), user_namespaces(7), ld.so(8).
"""

import ctypes
import errno
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import executables  # noqa: E402
import suites  # noqa: E402

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

PR_SET_PDEATHSIG = 1
OUTSIDE_ID = 100000  # of the root of `userns`

HOW = ("plain", "container", "pidns", "userns", "chroot", "loader")
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(what, result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    def encoded(text):
        return None if text is None else os.fsencode(text)

    result = LIBC.mount(encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags), encoded(data))
    checked(f"mount {source} on {target}", result)


def write(path, text):
    # Not by open(): its codec is a module, and may lie in a root that is gone.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter_mount_namespace():
    """A mount namespace of our own, from which nothing comes back to the host's."""
    uid, gid = os.geteuid(), os.getegid()
    if LIBC.unshare(CLONE_NEWNS) != 0:
        if ctypes.get_errno() != errno.EPERM:
            checked("unshare", -1)
        checked("unshare of a user namespace", LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        write("/proc/self/setgroups", "deny")
        write("/proc/self/gid_map", f"{gid} {gid} 1")
        write("/proc/self/uid_map", f"{uid} {uid} 1")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)


def enter_pid_namespace():
    """Returns in the child, which is process 1; the parent ends as the child does, and the child with the parent."""
    checked("unshare of a pid namespace", LIBC.unshare(CLONE_NEWPID))
    child = os.fork()
    if child == 0:
        checked("prctl", LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))
        return
    status = os.waitpid(child, 0)[1]
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def enter_user_namespace():
    """Root here, nobody there. Only a process outside may write a map of ids that are not its own."""
    if os.geteuid() != 0:
        return  # in one already, for want of privilege
    parent = os.getpid()
    unshared, tell = os.pipe()
    outside = os.fork()
    if outside == 0:
        try:
            os.read(unshared, 1)
            for name in ("gid_map", "uid_map"):
                write(f"/proc/{parent}/{name}", f"0 {OUTSIDE_ID} 65536")
            os._exit(0)
        finally:
            os._exit(1)
    result = LIBC.unshare(CLONE_NEWUSER)
    os.write(tell, b"x")
    if os.waitpid(outside, 0)[1] != 0:
        raise OSError(errno.EPERM, "the maps of a user namespace can't be written here")
    checked("unshare of a user namespace", result)
    os.close(unshared)
    os.close(tell)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def inside(path, folders):
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def build_root(tree, folders, own_proc):
    """Mounts a tmpfs over `tree` and fills it. `folders` of the host are seen at their own paths; `own_proc`: /proc
    is a new one, of the pid namespace that this process is in."""
    # Held open, for the tmpfs hides them.
    parts = {}
    links = {}
    for name in os.listdir(tree):
        path = os.path.join(tree, name)
        if os.path.islink(path):
            links[name] = os.readlink(path)
        elif os.path.isdir(path):
            parts[name] = os.open(path, os.O_PATH | os.O_DIRECTORY)
    # Likewise, for a folder may lie below the tree's own path.
    outside = {}
    for folder in folders:
        if not inside(folder, outside):
            outside[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)

    mount("pythreads", tree, "tmpfs", data="mode=755")
    for name, target in links.items():
        os.symlink(target, os.path.join(tree, name))
    for name, descriptor in parts.items():
        path = os.path.join(tree, name)
        os.mkdir(path)
        if "/" + name in ("/proc", "/dev", "/tmp"):
            continue
        mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND)
    for folder, descriptor in outside.items():
        path = tree + folder
        os.makedirs(path, exist_ok=True)
        mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND | MS_REC)
    if own_proc:
        os.makedirs(tree + "/proc", exist_ok=True)
        mount("proc", tree + "/proc", "proc")
    for descriptor in [*parts.values(), *outside.values()]:
        os.close(descriptor)


def script_of(arguments):
    """The index of the first argument that is a file: the script, as far as can be known here."""
    for index, argument in enumerate(arguments):
        if argument in ("-c", "-m", "-"):
            return None
        if not argument.startswith("-") and os.path.isfile(argument):
            return index
    return None


def run_in_root(interpreter, how, executable, scratch, arguments):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = ["/dev", "/tmp", here] + [scratch] * bool(scratch) + ["/proc"] * (how != "pidns")
    script = script_of(arguments)
    if script is not None:
        arguments[script] = os.path.abspath(arguments[script])
        folders.append(os.path.dirname(arguments[script]))
    cwd = os.getcwd()

    tree = interpreter["root"]
    enter_mount_namespace()
    if how == "pidns":
        enter_pid_namespace()
    build_root(tree, folders, how == "pidns")
    os.chdir(tree)
    if how == "chroot":
        os.chroot(".")
    else:
        number = SYS_PIVOT_ROOT[os.uname().machine]
        checked("pivot_root", LIBC.syscall(ctypes.c_long(number), b".", b"."))
        checked("umount of the old root", LIBC.umount2(b".", MNT_DETACH))
    if how == "userns":
        enter_user_namespace()
    try:
        os.chdir(cwd)
    except OSError:
        os.chdir("/")
    executable.execute(arguments)


def find_loader(libraries):
    for name in sorted(os.listdir(libraries)):
        path = os.path.join(libraries, name)
        if name.startswith("ld-") and ".so" in name and os.path.isfile(path):
            return path
    raise OSError(errno.ENOENT, f"no ld.so in {libraries}")


def run_by_loader(interpreter, arguments):
    usr = os.path.join(interpreter["root"], "usr")
    libraries = os.path.join(usr, "lib", f"{os.uname().machine}-linux-gnu")
    loader = find_loader(libraries)
    os.environ["PYTHONHOME"] = usr
    command = [loader, "--library-path", libraries, interpreter["root"] + interpreter["executable"]]
    os.execv(loader, [*command, *arguments])


def parse(arguments):
    """(name, options), and what is left of `arguments` is the interpreter's; None as name for wrong usage."""
    name, options = None, {"--how": None, "--as": None, "--scratch": None}
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            break
        if argument in options and arguments:
            options[argument] = arguments.pop(0)
        elif name is None and not argument.startswith("-"):
            name = argument
        else:
            return None, options
    options["--how"] = options["--how"] or ("plain" if name and name.startswith("/") else "container")
    known = options["--how"] in HOW and options["--as"] in (None, *executables.KINDS)
    # Who takes a file away must know the pid; ld.so would be the executable.
    known = known and not (options["--as"] and (not options["--scratch"] or options["--how"] in ("pidns", "loader")))
    return name if known else None, options


def find(name, how):
    if name.startswith("/"):
        return {"name": name, "root": "/", "executable": name} if how == "plain" else None
    return suites.interpreter(name) if how != "plain" else None


def main(arguments):
    name, options = parse(arguments)
    if name is None:
        print(f"usage: run.py NAME [--how {'|'.join(HOW)}] [--as {'|'.join(executables.KINDS)} --scratch FOLDER]"
              " -- arguments…", file=sys.stderr)  # fmt: skip
        return 2
    how, kind, scratch = options["--how"], options["--as"], options["--scratch"]
    interpreter = find(name, how)
    if interpreter is None:
        print(f"run.py: no interpreter {name} here to run as {how}; fetch.py gets those of Debian's suites", file=sys.stderr)
        return 2
    try:
        if how == "loader":
            run_by_loader(interpreter, arguments)
        executable = executables.prepare(kind, interpreter, scratch)
        if kind in ("deleted", "replaced"):
            executables.take_away_later(executable, kind)
        if how == "plain":
            executable.execute(arguments)
        run_in_root(interpreter, how, executable, scratch, arguments)
    except (OSError, executables.subprocess.CalledProcessError) as error:
        print(f"run.py: {name}: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
