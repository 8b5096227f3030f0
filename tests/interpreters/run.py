#!/usr/bin/python3
"""Runs an interpreter of a suite's tree: run.py NAME [--how container|chroot|loader] -- arguments…

The process that was started becomes the interpreter (exec, never fork): its pid is the one the caller knows.

container  a mount namespace of its own and pivot_root. The new root is a tmpfs with the tree's folders
           bound into it, /proc, /dev and /tmp of the host, the tests of this repository and the script's
           folder at the paths that they have outside. /proc/PID/maps shows /usr/bin/…, which is not what
           the host has there: what an attacher sees of a container.
chroot     the same without pivot_root: maps show the path that leads there from the namespace's root.
loader     no privilege needed: the tree's own ld.so runs the interpreter, /proc/PID/exe is the loader.

container and chroot need CAP_SYS_ADMIN; a user namespace is tried where it is missing.
Sources: mount_namespaces(7), pivot_root(2) (the "." over "." form), user_namespaces(7), ld.so(8).
"""

import ctypes
import errno
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import suites  # noqa: E402

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

HOW = ("container", "chroot", "loader")
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
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


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


def inside(path, folders):
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def build_root(tree, folders):
    """Mounts a tmpfs over `tree` and fills it. `folders` of the host are seen at their own paths."""
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


def run_in_root(interpreter, how, arguments):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = ["/proc", "/dev", "/tmp", here]
    script = script_of(arguments)
    if script is not None:
        arguments[script] = os.path.abspath(arguments[script])
        folders.append(os.path.dirname(arguments[script]))
    cwd = os.getcwd()

    tree = interpreter["root"]
    enter_mount_namespace()
    build_root(tree, folders)
    os.chdir(tree)
    if how == "container":
        number = SYS_PIVOT_ROOT[os.uname().machine]
        checked("pivot_root", LIBC.syscall(ctypes.c_long(number), b".", b"."))
        checked("umount of the old root", LIBC.umount2(b".", MNT_DETACH))
    else:
        os.chroot(".")
    try:
        os.chdir(cwd)
    except OSError:
        os.chdir("/")
    os.execv(interpreter["executable"], [interpreter["executable"], *arguments])


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


def main(arguments):
    name, how = None, "container"
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            break
        if argument == "--how" and arguments:
            how = arguments.pop(0)
        elif name is None and not argument.startswith("-"):
            name = argument
        else:
            name = None
            break
    if name is None or how not in HOW:
        print(f"usage: run.py NAME [--how {'|'.join(HOW)}] -- arguments…", file=sys.stderr)
        return 2
    interpreter = suites.interpreter(name)
    if interpreter is None:
        print(f"run.py: no interpreter {name} here; fetch.py gets those of Debian's suites", file=sys.stderr)
        return 2
    try:
        if how == "loader":
            run_by_loader(interpreter, arguments)
        run_in_root(interpreter, how, arguments)
    except OSError as error:
        print(f"run.py: {name}: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
