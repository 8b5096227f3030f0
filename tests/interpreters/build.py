"""Builds the interpreters that no package has, from the source package of a Debian suite.

One unpacked source serves all builds, each of which is configured and made in a folder of its own. A build has
what the tests need and no more: the extension modules that nobody imports cost a third of the time, `make install`
(which compiles the library three times) as much again. A build is put together beside its place and renamed when
whole. The two musl interpreters are one build: the same objects linked twice, once with musl's ld.so and once fully
static. The table of what is built stands in suites.py.

Sources: CPython's configure.ac (PY_STDLIB_MOD: py_cv_module_NAME=n/a leaves a module out; MODULE_BUILDTYPE),
Makefile.pre.in (sharedmods, pybuilddir.txt), Modules/getpath.py (how a prefix is found), all at v3.13.5.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import suites

# Nothing under tests/ imports them, nor does anything that is imported there.
LEFT_OUT = (
    "_bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _csv _ctypes_test _curses _curses_panel"
    " _dbm _elementtree _gdbm _hashlib _lsprof _lzma _md5 _multibytecodec _sha3 _sqlite3 _ssl _statistics _tkinter _uuid"
    " _xxtestfuzz _zoneinfo cmath readline syslog termios xxlimited xxlimited_35 xxsubtype"
).split()
# Need a library that is there for glibc only, or take long.
LEFT_OUT_WITH_MUSL = "_ctypes _decimal binascii pyexpat zlib".split()
# Folders of the library that no test imports.
NOT_COPIED = ("__phello__", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "test", "tests",
              "tkinter", "turtledemo", "venv", "wsgiref")  # fmt: skip
CONFIGURE = ["--without-static-libpython", "--without-ensurepip", "--disable-test-modules", "--without-doc-strings"]
# Debian's musl-gcc doesn't ask for the index of unwind tables, as the compilers of musl's distributions do.
MUSL_LINK = "-Wl,--eh-frame-hdr"
# configure compares the triplets that the compiler says and that it finds itself; musl-gcc says glibc's.
MUSL_COMPILER = """#!/bin/sh
[ "$*" = --print-multiarch ] && exec echo {triplet}
exec musl-gcc {link} "$@"
"""


class BuildError(Exception):
    """A build that did not come about; the text says why."""


def run(command, folder, **environment):
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ, LC_ALL="C", **environment), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise BuildError(f"{' '.join(map(str, command[:3]))}: " + " | ".join(lines[-4:]))
    return done.stdout


def configure(source, folder, row, place):
    left_out = LEFT_OUT + (LEFT_OUT_WITH_MUSL if row["musl"] else [])
    settings = [f"py_cv_module_{name}=n/a" for name in left_out]
    environment = {"CFLAGS": row["flags"], "OPT": "-DNDEBUG"}
    if row["musl"]:
        if shutil.which("musl-gcc") is None:
            raise BuildError("musl-gcc is missing here (package musl-tools)")
        compiler = folder / "musl-compiler"
        compiler.write_text(MUSL_COMPILER.format(triplet=f"{os.uname().machine}-linux-musl", link=MUSL_LINK))
        compiler.chmod(0o755)
        # All modules inside the executable: a static one can't load any.
        environment.update(CC=str(compiler), MODULE_BUILDTYPE="static")
    run([str(source / "configure"), f"--prefix={place}", *CONFIGURE, *row["configure"], *settings], folder, **environment)


def link_static(folder, target):
    """The executable once more, without a dynamic part: make links it anew with other flags."""
    (folder / "python").unlink()
    # -no-pie: an ET_EXEC, as the standalone builds are.
    run(["make", "LINKFORSHARED=", "LDFLAGS=-static -no-pie", "python"], folder)
    shutil.copy2(folder / "python", target)


def copy_library(source, folder, library):
    """The modules in Python without those that nobody imports, and what was built beside them."""

    def left_out(path, names):
        return [name for name in names if name in NOT_COPIED or name == "__pycache__"]

    shutil.copytree(source / "Lib", library, ignore=left_out)
    built = folder / (folder / "pybuilddir.txt").read_text().strip()
    dynload = library / "lib-dynload"
    dynload.mkdir()
    for path in built.iterdir():
        if path.suffix == ".so":
            shutil.copy2(path, dynload)  # what the links lead to
        elif path.suffix == ".py":
            shutil.copy2(path, library)


def copy_headers(source, folder, headers):
    """What extension modules are compiled with."""
    shutil.copytree(source / "Include", headers)
    shutil.copy2(folder / "pyconfig.h", headers)


def make(source, version, row, place, work):
    """Builds one row of the table into `place`, whole or not at all."""
    folder = work / row["folder"]
    folder.mkdir()
    configure(source, folder, row, place)
    jobs = f"-j{os.cpu_count() or 1}"
    run(["make", jobs, "python", "sharedmods", "pybuilddir.txt"], folder)
    minor = ".".join(version.split(".")[:2])
    tree = work / f"{row['folder']}.tree"
    (tree / "bin").mkdir(parents=True)
    name = f"python{minor}" + ("t" if "--disable-gil" in row["configure"] else "")
    shutil.copy2(folder / "python", tree / "bin" / name)
    if row["musl"]:
        static = tree / "bin" / f"{name}-static"
        link_static(folder, static)
        run(["strip", str(static)], folder)
    copy_library(source, folder, tree / "lib" / name)
    copy_headers(source, folder, tree / "include" / name)
    stamp = {"format": suites.BUILT_FORMAT, "version": version, "row": suites.stamped(row)}
    (tree / suites.STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
    shutil.rmtree(place, ignore_errors=True)
    os.rename(tree, place)
    # Tests start interpreters that write no .pyc files.
    library = place / "lib" / name
    folders = ["asyncio", "collections", "concurrent", "ctypes", "encodings", "importlib", "json", "logging",
               "multiprocessing", "re"]  # fmt: skip
    command = [str(place / "bin" / name), "-m", "compileall", "-q", "-l", str(library)]
    run([*command, *(str(library / each) for each in folders), str(library / "concurrent" / "futures")], place)


def make_all(rows, get_source, base, tell):
    """Builds `rows` at the same time, for configure has one thread. `get_source(work)` unpacks the source and returns
    its folder and version. `tell` is called with a line that says what came of each row. Returns how many failed."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=base) as work:
        work = pathlib.Path(work)
        source, version = get_source(work)

        def one(row):
            started = time.monotonic()
            try:
                make(source, version, row, pathlib.Path(suites.built_dir(row)), work)
            except (BuildError, OSError) as error:
                tell(f"{row['folder']}: not built: {error}")
                return 1
            tell(f"{row['folder']}: {version} built [{time.monotonic() - started:.1f} s]")
            return 0

        with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
            return sum(pool.map(one, rows))


def version_of(description):
    """3.13.5 of python3.13_3.13.5-2.dsc"""
    return re.search(r"_(\d+\.\d+\.\d+)", description)[1]
