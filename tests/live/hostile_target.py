"""A program that lies to whoever looks at it: hostile_target.py KIND [FOLDER]. Says one line of JSON and reads its standard input.

names    comm, arguments, a file, a function and threads are called what a terminal would obey
objects  local variables whose lengths, types and contents are wrong: 2**63, cycles, pointers to nothing
library  it has loaded FOLDER/library.so
resizes  the dicts of its modules grow and shrink all the time
"""

import ctypes
import json
import os
import sys
import threading

NASTY = "\x1b]0;title\x07\x1b[2J\r\nThread 0x0 [forged] (most recent call first):\n  File \"forged\", line 1 in forged\u202e\x9b31m"


def say(**facts):
    os.write(1, (json.dumps(dict(facts, pid=os.getpid())) + "\n").encode())


def rest():
    os.read(0, 1)


def names(_):
    libc = ctypes.CDLL(None)
    libc.prctl(15, b"a) R 1\n\x1b[2J\xff", 0, 0, 0)
    scope = {"rest": rest}
    exec(compile("def f(wait):\n    wait()\n", NASTY, "exec"), scope)
    code = scope["f"].__code__.replace(co_name=NASTY)
    function = type(rest)(code, scope, NASTY)
    inner, outer = os.pipe()
    thread = threading.Thread(target=function, args=(lambda: os.read(inner, 1),), name=NASTY, daemon=True)
    thread.start()
    say(outer=outer)
    function(rest)


def words(at):
    return ctypes.cast(at, ctypes.POINTER(ctypes.c_uint64))


def objects(_):
    """Written over where CPython 3.8 and later keep them (a head of 16 bytes); nothing of it is ever used or freed again."""
    keep = []

    def broken(thing, word, value):
        keep.append(thing)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        words(id(thing))[word] = value
        return thing

    long_str = broken("long" * 5, 2, 1 << 63)
    long_bytes = broken(bytes(20), 2, (1 << 63) - 1)
    long_list = broken([1, 2, 3], 2, (1 << 62) + 1)
    lost_list = broken([1, 2, 3], 3, 0xdead0000)
    long_tuple = broken((object(), 2), 2, (1 << 63) - 1)
    long_int = broken(1 << 100, 2, (1 << 62))
    used_dict = broken({"a": 1}, 2, (1 << 63) - 1)
    lost_dict = broken({"a": 1}, 4, 0x10)
    itself = []
    itself.append(itself)
    error = ValueError("first")
    error.__context__ = other = KeyError("second")
    words(id(other))[0] += 1
    other.__cause__ = error

    class Odd:
        pass

    no_type = broken(Odd(), 1, 0x1000)
    own_type = broken(Odd(), 1, 0)
    words(id(own_type))[1] = id(own_type)
    say()
    try:
        raise error
    except ValueError:
        rest()
    os._exit(0)


def library(folder):
    loaded = ctypes.CDLL(os.path.join(folder, "library.so"))
    say(loaded=loaded._name)
    rest()


def resizes(_):
    scope = {"__name__": "grows"}
    exec("def inner(rest):\n    rest()\n", scope)

    def grow():
        while True:
            for i in range(3000):
                scope["x%d" % i] = sys.modules["m%d" % i] = threading.__dict__["y%d" % i] = i
            for i in range(3000):
                del scope["x%d" % i], sys.modules["m%d" % i], threading.__dict__["y%d" % i]

    threading.Thread(target=grow, name="grow", daemon=True).start()
    say()
    scope["inner"](rest)


if __name__ == "__main__":
    {"names": names, "objects": objects, "library": library, "resizes": resizes}[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "")
