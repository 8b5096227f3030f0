"""Whether the text is in faulthandler's grammar and says what the truth says."""

import re

import faulthandler_text
from dump_check import MAX_NAME, cut, shown

SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What differs between two looks at a process that rests.
LOOK = re.compile(r"^(Process \d+: .*), held for [0-9.]+ ms at \S+: ", re.M)
LEFT = re.compile(r", for [0-9.]+ (ms|s) more at most")


def is_deceptive(code):
    return (
        0x80 <= code <= 0x9F
        or code in (0x61C, 0xFEFF)
        or 0x200B <= code <= 0x200F
        or 0x2028 <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    )


def escaped(text):
    """As the text shows what the document has."""
    parts = []
    for each in shown(text):
        code = ord(each)
        if each in SHORT:
            parts.append(SHORT[each])
        elif code < 0x20 or code == 0x7F:
            parts.append(f"\\x{code:02x}")
        elif is_deceptive(code):
            parts.append(f"\\u{code:04x}")
        else:
            parts.append(each)
    return "".join(parts)


def without_look(text):
    return LEFT.sub(", for a time", LOOK.sub(r"\1: ", text))


def parse(text):
    """{ident: [(file, line, function)]}: only faulthandler's lines are looked at."""
    threads = {}
    frames = None
    for line in text.split("\n"):
        header = faulthandler_text.THREAD.match(line)
        frame = faulthandler_text.FRAME.match(line)
        if header and ", native," in header["more"]:
            frames = []
        elif header:
            frames = threads.setdefault(int(header["ident"], 16), [])
        elif frame:
            frames.append((frame["file"], int(frame["line"]), frame["function"]))
        elif not line:
            frames = None
    return threads


def check(truth, text):
    problems = []
    control = sorted({each for each in text if (ord(each) < 0x20 and each != "\n") or ord(each) in (0x7F, 0x9B)})
    if control:
        problems.append(f"the text holds {control!r}")
    found = parse(text)
    for thread in truth["threads"]:
        if thread["moving"]:
            continue
        expected = [(escaped(each["file"]), each["line"], escaped(cut(each["function"], MAX_NAME))) for each in thread["frames"]]
        if found.get(thread["ident"]) != expected:
            problems.append(f"text of {thread['name']!r}: {expected[:4]}, is {(found.get(thread['ident']) or [])[:4]}")
    if len(found) != len(truth["threads"]):
        problems.append(f"text shows {len(found)} threads of {len(truth['threads'])}")
    return problems
