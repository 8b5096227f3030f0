"""What every scenario shares: threads that come to rest, and the truth about them, told from inside.

A scenario starts threads with `thread`, lets each block somewhere for good (mostly in `os.read(scene.NEVER, 1)`),
and calls `ready` in one thread. `ready` waits until no other thread runs, writes one line of JSON, the truth, and
blocks itself in a line that is known beforehand. A pipe on standard input keeps the process alive: it ends when the
pipe is closed.

The truth comes from two places that know nothing of each other: frame objects (`sys._current_frames`) and
`faulthandler`, which walks CPython's structures in C. Who compares expects both to agree on what faulthandler
shows: 100 threads, 100 frames of each, names cut at 500 characters.

Runs on 3.6 and later.
"""

import faulthandler
import itertools
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time

NEVER, _kept_open = os.pipe()  # nothing is ever written to it
HERE = os.path.abspath(__file__)

_expected = {}
_native_ids = {}


def _die_with_parent():
    """A scenario that can't notice a closed pipe (it spins in C) must not outlive who started it."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    except (ImportError, OSError):
        pass


_die_with_parent()


def _own_native_id():
    return int(os.readlink("/proc/thread-self").rsplit("/", 1)[1])


def _set_ident(self):
    self._ident = threading.get_ident()
    self.native_id = _own_native_id()


if not hasattr(threading, "get_native_id"):  # new in 3.8; nothing of this stays on a thread's stack
    threading.get_native_id = _own_native_id
    threading.Thread.native_id = None
    threading.Thread._set_ident = _set_ident
    threading.main_thread().native_id = os.getpid()


def note_thread():
    """Tells the calling thread's native id to the truth. `thread` does it; threads started otherwise call it."""
    _native_ids[threading.get_ident()] = threading.get_native_id()


note_thread()


def thread(target, *args, name=None, daemon=True):
    """Starts a thread that runs `target(*args)`: nothing of this module stays on its stack."""
    started = threading.Thread(target=target, args=args, name=name, daemon=daemon)
    started.start()
    _native_ids[started.ident] = started.native_id
    return started


def run_loop(coroutine):
    """asyncio.run, which is new in 3.7."""
    import asyncio

    if hasattr(asyncio, "run"):
        return asyncio.run(coroutine)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


def line(mark, file=None):
    """The number of the one line that ends in `# MARK` in the caller's file."""
    file = file or sys._getframe(1).f_code.co_filename
    with open(file, encoding="utf-8") as source:
        lines = [number for number, text in enumerate(source, 1) if text.rstrip().endswith("# " + mark)]
    if len(lines) != 1:
        raise LookupError("{} lines of {} are marked {}".format(len(lines), file, mark))
    return lines[0]


def expect(thread_name, **fields):
    """Fields of the JSON's thread object that `thread_name` must have with just these values."""
    _expected.setdefault(thread_name, {}).update(fields)


def switches():
    """{tid: (state, context switches)} of every thread but this one."""
    looks = {}
    own = threading.get_native_id()
    for tid in map(int, os.listdir("/proc/self/task")):
        if tid == own:
            continue
        try:
            with open("/proc/self/task/{}/status".format(tid), encoding="utf-8", errors="replace") as file:
                status = file.read()
        except OSError:
            continue
        state = re.search(r"^State:\s+(\S)", status, re.M).group(1)
        looks[tid] = (state, re.findall(r"ctxt_switches:\s+(\d+)", status))
    return looks


def wait_until_settled(except_for=(), seconds=60):
    """Returns when every other thread slept and none ran between two looks."""
    deadline = time.monotonic() + seconds
    before = None
    while True:
        now = {tid: look for tid, look in switches().items() if tid not in except_for}
        if now == before and all(state == "S" for state, _ in now.values()):
            return
        if time.monotonic() > deadline:
            raise TimeoutError("threads did not come to rest: {}".format(now))
        before = now
        time.sleep(0.03)


def _frame_facts(frame, line_number=None, positions=None):
    code = frame.f_code
    if positions is None and hasattr(code, "co_positions"):
        at = frame.f_lasti // 2
        positions = list(next(itertools.islice(code.co_positions(), at, None)))
    return {
        "file": code.co_filename,
        "line": frame.f_lineno if line_number is None else line_number,
        "function": code.co_name,
        "qualified_name": getattr(code, "co_qualname", None),
        "positions": positions,  # line, end line, column, end column as CPython counts
        "module": frame.f_globals.get("__name__"),
    }


def _stack_facts(frame):
    facts = []
    while frame is not None:
        facts.append(_frame_facts(frame))
        frame = frame.f_back
    return facts


def _own_stack(ready_frame):
    """This thread's stack as it will be once `ready` has written the truth and rests."""
    at = line("the teller rests here", HERE)
    # "    os.read(0, 1)": the call's columns.
    positions = [at, at, 4, 17]
    if not hasattr(ready_frame.f_code, "co_positions"):
        positions = None
    return [_frame_facts(ready_frame, at, positions)] + _stack_facts(ready_frame.f_back)


def _faulthandler_text():
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file=file, all_threads=True)
        file.seek(0)
        return file.read().decode("latin-1")  # from 3.14 on it shows the kernel's names of threads, unescaped


def _release():
    """The version as it is written: 3.15.0, 3.15.0rc1."""
    major, minor, micro, level, serial = sys.version_info
    numbers = "{}.{}.{}".format(major, minor, micro)
    return numbers if level == "final" else numbers + {"alpha": "a", "beta": "b", "candidate": "rc"}[level] + str(serial)


def truth(ready_frame, moving=()):
    """Everything that is known of this process, as one plain object."""
    own = threading.get_ident()
    named = {each.ident: each for each in threading.enumerate()}
    threads = []
    for ident, frame in sys._current_frames().items():
        known = named.get(ident)
        threads.append(
            {
                "ident": ident,
                "native_id": _native_ids.get(ident) or (known and known.native_id),
                "name": known.name if known else None,
                "daemon": known.daemon if known else None,
                "main": ident == threading.main_thread().ident,
                "teller": ident == own,
                "moving": bool(known and known.name in moving),
                "frames": _own_stack(ready_frame) if ident == own else _stack_facts(frame),
                "expected": _expected.get(known.name, {}) if known else {},
            }
        )
    return {
        "pid": os.getpid(),
        "version": list(sys.version_info[:3]),
        "release": _release(),
        "debug": "d" in sys.abiflags,
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "tids": sorted(map(int, os.listdir("/proc/self/task"))),
        "threads": threads,
        "faulthandler": _faulthandler_text(),
    }


def tell(facts):
    # Not as escapes: a pair of lone surrogates would come back as one character.
    data = json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    while data:
        data = data[os.write(1, data) :]


def ready(moving=(), **more):
    """Tells the truth and rests. `moving` names threads that go on running; `more` is told beside the rest."""
    wait_until_settled(except_for=[each.native_id for each in threading.enumerate() if each.name in moving])
    facts = truth(sys._getframe(), moving)
    facts.update(more)
    tell(facts)
    os.read(0, 1)  # the teller rests here
    os._exit(0)
