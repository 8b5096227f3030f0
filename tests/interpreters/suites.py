"""The Debian suites whose interpreters the tests use, and where their unpacked trees lie.

A tree is a small merged-/usr root folder with nothing but interpreters, the libraries that they need and
their debug files. `fetch.py` makes it, `run.py` runs what is in it; what both must agree on stands here.
Imports are few: `run.py` starts with this module, and its start is part of every test's time.
"""

import json
import os

# The minor versions that each suite is wanted for. bullseye has the last interpreter with a separate
# libpthread, bookworm the debug files of what Debian 12 has itself, trixie _Py_DebugOffsets, sid what comes
# next (it moves).
SUITES = {
    "bullseye": ("3.9",),
    "bookworm": ("3.11",),
    "trixie": ("3.13",),
    "sid": ("3.14", "3.15"),
}

# What no package has, built from the source package of BUILT_FROM (build.py). Not all of Debian's mirrors have the
# sources of sid's 3.14 and 3.15.
#   folder     where it lies
#   names      what the tests call it, with its executable in bin/; the second of musl's is static and stripped
#   configure  what is said to configure; flags to the compiler. -Og takes half the time of -O1.
BUILT_FROM = ("trixie", "3.13")
BUILT = (
    {
        "folder": "trixie-3.13t",
        "names": {"trixie-3.13t": "python3.13t"},
        "free_threaded": True,
        "musl": False,
        "configure": ["--disable-gil"],
        "flags": "-O1 -g1",
    },
    {
        "folder": "trixie-3.13-musl",
        "names": {"musl-3.13": "python3.13", "static-3.13": "python3.13-static"},
        "free_threaded": False,
        "musl": True,
        "configure": [],
        "flags": "-Og -g1",
    },
)

# Raise it when what lies in a tree changes: older trees are then fetched again.
TREE_FORMAT = 2
BUILT_FORMAT = 3
STAMP = "pythreads-tree.json"


def base_dir():
    """The folder that holds the trees, one folder a suite."""
    chosen = os.environ.get("PYTHREADS_INTERPRETERS")
    if chosen:
        return os.path.abspath(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "pythreads", "interpreters")


def tree_dir(suite):
    return os.path.join(base_dir(), suite)


def built_dir(row):
    """Where what a row of BUILT says lies; it runs on the host as it is."""
    return os.path.join(base_dir(), row["folder"])


def stamped(row):
    """What of a row decides whether a build is still the one that is wanted."""
    return {name: row[name] for name in ("names", "configure", "flags")}


def built_version(row):
    """The version of what was built by that row; None if it was not, or by another."""
    stamp = read_stamp(built_dir(row), BUILT_FORMAT)
    return stamp["version"] if stamp is not None and stamp.get("row") == stamped(row) else None


def read_stamp(tree, wanted=TREE_FORMAT):
    """What the tree holds, as was noted at the end; None for a tree that is not whole or is old."""
    try:
        with open(os.path.join(tree, STAMP), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return None
    return stamp if stamp.get("format") == wanted else None


def interpreters_in(suite):
    """The interpreters of a suite's tree: dicts with name, version, debug, executable (inside the tree), root."""
    tree = tree_dir(suite)
    stamp = read_stamp(tree)
    if stamp is None:
        return []
    found = []
    for minor, version in stamp["versions"].items():
        for debug in (False, True):
            executable = f"/usr/bin/python{minor}" + ("-dbg" if debug else "")
            if os.path.exists(tree + executable):
                found.append(
                    {
                        "name": f"{suite}-{minor}" + ("d" if debug else ""),
                        "version": version,
                        "debug": debug,
                        "executable": executable,
                        "root": tree,
                    }
                )
    return found


def interpreter(name):
    """The one suite interpreter of that name, or None."""
    suite = name.partition("-")[0]
    if suite not in SUITES:
        return None
    return next((each for each in interpreters_in(suite) if each["name"] == name), None)
