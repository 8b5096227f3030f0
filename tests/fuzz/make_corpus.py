#!/usr/bin/python3
"""Writes the seeds of corpus/ that can be made: small ELF files, unwind tables, exception tables, filters, dumps, edits of
heaps. (Those of proc_files, line_tables and debug_offsets were taken from live processes.)

    make_corpus.py          needs gcc, objcopy, xz and a Python from 3.11 on; writes over what is there

A seed is to be small: libFuzzer changes a few bytes of it at a time.
"""

import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"

PROGRAM = """
__attribute__((section(".PyRuntime"))) int _PyRuntime = 7;
static inline __attribute__((always_inline)) int inlined(int x) { return x * 3 + _PyRuntime; }
static __attribute__((noinline)) int local(int x) { return inlined(x) + inlined(x + 1); }
int exported(int x) { for (int i = 0; i < x; ++i) x = local(x) - i; return x; }
"""


def write(driver, name, content):
    (CORPUS / driver).mkdir(parents=True, exist_ok=True)
    (CORPUS / driver / name).write_bytes(content)


def run(*command, **more):
    subprocess.run(command, check=True, **more)


def elf_files():
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        (at / "p.c").write_text(PROGRAM)
        options = ["-O1", "-shared", "-fPIC", "-nostdlib", "-Wl,--build-id=sha1", "-Wl,-z,noseparate-code"]
        for dwarf in ("4", "5"):
            paths = f"-ffile-prefix-map={folder}=/seed"
            run("gcc", *options, "-g", f"-gdwarf-{dwarf}", "-gz=none", paths, "-o", f"dwarf{dwarf}", "p.c", cwd=folder)
            write("source_lines", f"dwarf{dwarf}", (at / f"dwarf{dwarf}").read_bytes())
        for style in ("gnu", "sysv"):
            run("gcc", *options, f"-Wl,--hash-style={style}", "-o", at / style, at / "p.c")
            write("elf_symbols", style, (at / style).read_bytes())
        run("objcopy", "--strip-all", at / "gnu", at / "stripped")
        write("elf_symbols", "stripped", (at / "stripped").read_bytes())
        write("elf_file", "gnu", (at / "gnu").read_bytes())
        run("objcopy", "--only-keep-debug", at / "gnu", at / "debug")
        run("xz", "--force", "--keep", at / "debug")
        run("objcopy", "--add-section", f".gnu_debugdata={at / 'debug.xz'}", at / "stripped", at / "mini")
        write("elf_file", "mini", (at / "mini").read_bytes())
        for name, extra in (("plain", []), ("frame_pointer", ["-fno-omit-frame-pointer"])):
            run("gcc", *options, *extra, "-o", at / name, at / "p.c")
            write("cfi", name, cfi_seed((at / name).read_bytes()))


def cfi_seed(elf):
    """The first segment as it is mapped, behind where its tables, its stack and its code are."""
    [first] = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    tables = code = end = 0
    for number in range(count):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", elf, first + number * size)
        if kind == 0x6474E550:
            tables = address
        elif kind == 1 and flags & 1:
            end = offset + length
    [shoff] = struct.unpack_from("<Q", elf, 40)
    entsize, shnum = struct.unpack_from("<HH", elf, 58)
    for number in range(shnum):
        _, kind, flags, address = struct.unpack_from("<IIQQ", elf, shoff + number * entsize)
        if kind == 1 and flags & 4:
            code = address
    stack = struct.pack("<8Q", *[0x7F0000000000 + code + 8] * 8)
    return struct.pack("<III", tables, end, code) + elf[:end] + stack


def exception_tables():
    source = """
def small(lock):
    with lock:
        pass
def large(a, b):
    for i in range(3):
        try:
            with a, b as c:
                try:
                    yield c
                finally:
                    print(i)
        except (ValueError, KeyError) as error:
            print(error)
"""
    scope = {}
    exec(compile(source, "seed.py", "exec"), scope)
    for name in ("small", "large"):
        write("exception_table", name, scope[name].__code__.co_exceptiontable)


def filters():
    def program(*instructions):
        return b"".join(struct.pack("<HBBI", *each) for each in instructions)

    allow, kill = (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0)
    write("seccomp", "one_denied", program((0x20, 0, 0, 4), (0x15, 0, 3, 0xC000003E), (0x20, 0, 0, 0),
                                           (0x15, 1, 0, 219), allow, kill))
    write("seccomp", "arguments", program((0x20, 0, 0, 0), (0x15, 0, 2, 16), (0x20, 0, 0, 24), (0x54, 0, 0, 255),
                                          (0x02, 0, 0, 3), (0x60, 0, 0, 3), (0x05, 0, 0, 1), kill, allow))


def texts():
    seeds = {
        "terminal": b"\x1b]0;title\x07 \x1b[2J\r\n\x9b31m \xc2\x9b \xe2\x80\xae right \xed\xb2\x80 \xff\xfe",
        "url": b"postgres://user:hunter2@db:5432/app?password=x&token='y' Authorization: Bearer abc",
        "itanium": b"_ZNSt6vectorIiSaIiEE17_M_realloc_insertIJRKiEEEvN9__gnu_cxx17__normal_iteratorIPiS1_EEDpOT_",
        "rust": b"_RNvMs_NtNtCs1234_4core3fmt3numNtB5_3u323fmt",
        "rust_old": b"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
    }
    for name, text in seeds.items():
        write("text", name, text)


def dumps():
    for name in ("rlock_deadlock", "gaps_and_states", "failure", "hostile_text"):
        document = json.loads((HERE.parent / "golden" / f"{name}.json").read_text())
        write("json", name, json.dumps(document, separators=(",", ":")).encode())


def heaps():
    for driver, head in (("objects", 1), ("python_state", 2)):
        for number in range(16):
            chance = random.Random(number)
            edits = b""
            for _ in range(number):
                kind = chance.randrange(256)
                size = {0: 8, 1: 2, 6: 2, 7: 2}.get(kind % 8, 0)
                edits += struct.pack("<HB", chance.randrange(1 << 12), kind) + chance.randbytes(size)
            write(driver, f"edits_{number:02}", bytes([number * 3, 1][:head]) + edits)


def facts():
    for number in range(8):
        chance = random.Random(number)
        edits = b"".join(
            struct.pack("<HB", chance.randrange(1 << 11), kind) + chance.randbytes({0: 1, 3: 2}.get(kind % 4, 0))
            for kind in (chance.randrange(256) for _ in range(number))
        )
        write("told_facts", f"edits_{number}", edits or b"\0")


if __name__ == "__main__":
    for make in (elf_files, exception_tables, filters, texts, dumps, heaps, facts):
        make()
    print(sum(each.stat().st_size for each in CORPUS.rglob("*") if each.is_file()), "bytes", file=sys.stderr)
