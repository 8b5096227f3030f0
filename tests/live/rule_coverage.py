#!/usr/bin/python3
"""Fails for a rule that no lock scenario fires: rule_coverage.py RULE_WORDS FIRED…

RULE_WORDS prints the words of all rules; each FIRED is what lock_test.py left of one run. What only free-threaded
builds have, or only newer versions, is asked for where one was tried, and said otherwise.
"""

import json
import pathlib
import subprocess
import sys

FREE_THREADED_ONLY = {
    "cause:world-held-in-native", "critical-section", "still-attached", "stop-the-world", "stop-the-world-requester",
    "stopping-the-world",
}
NEW_IN = {"interpreter-queue-get": (3, 14), "interpreter-queue-put": (3, 14)}


def main():
    words = set(subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout.decode().split())
    runs = [json.loads(pathlib.Path(each).read_text(encoding="ascii")) for each in sys.argv[2:]]
    fired = {word for run in runs for word in run["fired"]}
    if not any(run["free_threaded"] for run in runs):
        print("not tried, for no free-threaded interpreter was found: " + ", ".join(sorted(FREE_THREADED_ONLY)))
        words -= FREE_THREADED_ONLY
    newest = max(tuple(run["newest"]) for run in runs)
    too_new = {word for word, minor in NEW_IN.items() if minor > newest}
    if too_new:
        print(f"not tried, for no interpreter was newer than {newest}: " + ", ".join(sorted(too_new)))
        words -= too_new
    for word in sorted(words - fired):
        print(f"no scenario fires the rule {word}")
    sys.exit(1 if words - fired or not words & fired else 0)


if __name__ == "__main__":
    main()
