"""The system calls of a program as strace(1) saw them, and those of them that change another process.

What is not known to be harmless is an offence: a request of ptrace that is not listed, a file that is opened for writing.
"""

import pathlib
import re
import tempfile

import program

CALL = re.compile(r"^(\w+)\((.*)\)\s+= ")
DESCRIPTOR = re.compile(r"^(\d+)<(.*?)>")

# Reads, stops and lets go. PTRACE_DETACH hands a signal back that the stop had found on its way.
HARMLESS_REQUESTS = {
    "PTRACE_SEIZE",
    "PTRACE_INTERRUPT",
    "PTRACE_DETACH",
    "PTRACE_GETREGSET",
    "PTRACE_SECCOMP_GET_FILTER",
}
WRITES_TO_A_PROCESS = {"process_vm_writev", "process_madvise", "move_pages", "migrate_pages", "kcmp", "pidfd_getfd"}
SIGNALS = {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"}
SETS_OF_A_PROCESS = {
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
    "setpgid",
    "ioprio_set",
    "setpriority",
}
OPENS = {"open", "openat", "openat2", "creat"}
CHANGES_A_FOLDER = {
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mknod",
    "mknodat",
    "truncate",
    "chmod",
    "fchmodat",
    "chown",
    "fchownat",
    "utimensat",
    "mount",
    "setxattr",
}
WRITES = {"write", "writev", "pwrite64", "pwritev", "ftruncate", "fallocate", "sendfile", "copy_file_range", "splice"}
OWN_FILES = {"/proc/self/oom_score_adj", "/dev/null"}


def trace(*command, **more):
    """A run under strace and its calls, each (tid, name, arguments as text)."""
    with tempfile.TemporaryDirectory() as folder:
        before = ["strace", "-ff", "-qq", "-y", "-s", "64", "-o", f"{folder}/calls"]
        done = program.run(*command[1:], by=command[0], before=before, **more)
        calls = []
        for file in sorted(pathlib.Path(folder).iterdir()):
            tid = int(file.suffix[1:])
            for line in file.read_text(errors="replace").splitlines():
                if found := CALL.match(line):
                    calls.append((tid, *found.groups()))
        return done, calls


def is_own(word, own):
    return word.isdigit() and (int(word) in own or word == "0")


def offence(name, arguments, own, output):
    """Why the call may change another process; None if it can't. `own` are the pids and tids of the program."""
    words = [re.sub(r"<.*>", "", word) for word in arguments.split(", ")]
    if name == "ptrace":
        return None if words[0] in HARMLESS_REQUESTS else words[0]
    if name in WRITES_TO_A_PROCESS or name == "pidfd_send_signal":
        return name
    if name in SIGNALS:
        return None if is_own(words[0], own) else f"a signal by {name}"
    if name in SETS_OF_A_PROCESS:
        # The first word of these two is of what kind the second is.
        who = words[1] if name in ("setpriority", "ioprio_set") else words[0]
        return None if is_own(who, own) else name
    if name == "prlimit64":
        return None if words[2] == "NULL" or is_own(words[0], own) else name
    if name in OPENS:
        if name != "creat" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", arguments):
            return None
        path = re.search(r'"(.*?)"', arguments).group(1)
        return None if path in OWN_FILES or (output and path.startswith(output)) else f"writing: {path}"
    if name in CHANGES_A_FOLDER:
        paths = re.findall(r'"(.*?)"', arguments)
        return None if output and all(path.startswith(output) for path in paths) else f"{name} {paths}"
    if name in WRITES and (found := DESCRIPTOR.match(arguments)):
        number, what = int(found.group(1)), found.group(2)
        if number in (1, 2) or what.startswith(("socket:", "UNIX", "pipe:")) or (output and what.startswith(output)):
            return None
        return None if re.fullmatch(r"/proc/(\d+)/oom_score_adj", what) else f"writing to {what}"
    return None


def offences(calls, output=None):
    own = {tid for tid, _, _ in calls}
    return [(why, name, arguments) for _, name, arguments in calls if (why := offence(name, arguments, own, output))]
