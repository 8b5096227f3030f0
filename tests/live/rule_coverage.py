#!/usr/bin/python3
"""Fails for a rule that no lock scenario fires: rule_coverage.py RULE_WORDS FIRED…

RULE_WORDS prints the words of all rules; each FIRED is what lock_test.py left of one run. What only free-threaded
builds have is asked for where one was tried, and said otherwise.
"""

import json
import pathlib
import subprocess
import sys

FREE_THREADED_ONLY = {
    "cause:world-held-in-native", "critical-section", "still-attached", "stop-the-world", "stop-the-world-requester",
    "stopping-the-world",
}


def main():
    words = set(subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout.decode().split())
    runs = [json.loads(pathlib.Path(each).read_text(encoding="ascii")) for each in sys.argv[2:]]
    fired = {word for run in runs for word in run["fired"]}
    if not any(run["free_threaded"] for run in runs):
        print("not tried, for no free-threaded interpreter was found: " + ", ".join(sorted(FREE_THREADED_ONLY)))
        words -= FREE_THREADED_ONLY
    for word in sorted(words - fired):
        print(f"no scenario fires the rule {word}")
    sys.exit(1 if words - fired or not words & fired else 0)


if __name__ == "__main__":
    main()
