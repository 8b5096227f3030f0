"""The grammar of faulthandler's dumps, which is also that of pythreads' text.

CPython: Python/traceback.c, _Py_DumpTracebackThreads, dump_frame, _Py_DumpASCII; from 3.14 a thread's name stands in
brackets after its ident, as the kernel has it: any 15 bytes. `dump_traceback` shows 100 threads, 100 frames of each
(from 3.13 on without saying that there are more; from 3.14 on counting the hidden entry frames), 500 characters of a name, and escapes what is no printable ASCII.
"""

import re

MAX_THREADS = 100
MAX_FRAMES = 100
MAX_CHARACTERS = 500

THREAD = re.compile(r"^(?P<current>Current thread|Thread) 0x(?P<ident>[0-9a-f]+)(?P<more>.*) \(most recent call first\):$")
FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)$')


KERNEL_NAME = re.compile(r"^((?:Current thread|Thread) 0x[0-9a-f]+) \[.{0,15}\] (\(most recent call first\):)$", re.M | re.S)


class GrammarError(Exception):
    pass


def escaped(text):
    """As _Py_DumpASCII writes it."""
    shown = []
    for character in text[:MAX_CHARACTERS]:
        code = ord(character)
        if 0x20 <= code <= 0x7E:
            shown.append(character)
        elif code <= 0xFF:
            shown.append(f"\\x{code:02x}")
        elif code <= 0xFFFF:
            shown.append(f"\\u{code:04x}")
        else:
            shown.append(f"\\U{code:08x}")
    return "".join(shown) + ("..." if len(text) > MAX_CHARACTERS else "")


def parse(text):
    """{ident: {"frames": [(file, line, function)], "cut": bool}} in faulthandler's order, and whether threads miss."""
    threads = {}
    cut_threads = False
    frames = None
    for line in KERNEL_NAME.sub(r"\1 \2", text).split("\n"):
        if not line:
            continue
        header = THREAD.match(line)
        frame = FRAME.match(line)
        if header:
            frames = threads[int(header["ident"], 16)] = {"frames": [], "cut": False}
        elif frame and frames is not None:
            number = None if frame["line"] == "???" else int(frame["line"])
            frames["frames"].append((frame["file"], number, frame["function"]))
        elif line == "...":
            cut_threads = True
        elif line == "  ..." and frames is not None:
            frames["cut"] = True
        elif line.strip() in ("<no Python frame>", "Garbage-collecting"):
            pass
        else:
            raise GrammarError(f"not faulthandler's: {line!r}")
    return threads, cut_threads
