"""A first run after the files it reads were dropped from the page cache, beside one that finds them there."""

import os
import re
import statistics
import subprocess

import targets


def libraries_of(executable):
    said = subprocess.run(["ldd", executable], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(?:=> |^\s*)(/\S+)", said, re.M)


def mapped_files(pid):
    """As paths that lead there from here, whatever root the target has."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        paths = {line.split(None, 5)[5].rstrip("\n") for line in file if line.count("/")}
    return [f"/proc/{pid}/root{path}" for path in sorted(paths) if path.startswith("/")]


def drop(paths):
    """How many files were dropped. Pages that somebody has mapped stay (posix_fadvise(2), POSIX_FADV_DONTNEED)."""
    dropped = 0
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            dropped += 1
        finally:
            os.close(descriptor)
    return dropped


def measure(tools, interpreter, rounds, threads=100, depth=20):
    cold, warm, dropped = [], [], 0
    with targets.Crowd(interpreter, threads, depth, "blocked") as target:
        files = [tools.pythreads, *libraries_of(tools.pythreads), *mapped_files(target.pid)]
        for _ in range(rounds):
            dropped = drop(files)
            cold.append(tools.text_dump(target.pid, "--native").wall_ms)
            warm.append(tools.text_dump(target.pid, "--native").wall_ms)
    return {
        "interpreter": interpreter["name"],
        "threads": threads,
        "rounds": rounds,
        "files_dropped": dropped,
        "cold_ms": statistics.median(cold),
        "warm_ms": statistics.median(warm),
        "ratio": statistics.median(cold) / statistics.median(warm),
    }
