#!/usr/bin/python3
"""The long form of the soak tests: 1,000 dumps in a row of two programs, and a kill at every system call.

    soak.py --pythreads build/release/pythreads --build build/release
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythreads", required=True)
    parser.add_argument("--build", required=True, help="the build's folder: it holds tests/soak/killer")
    parser.add_argument("--dumps", type=int, default=1000)
    arguments = parser.parse_args()
    environment = {
        **os.environ,
        "PYTHREADS_EXECUTABLE": os.path.abspath(arguments.pythreads),
        "PYTHREADS_KILLER": os.path.abspath(os.path.join(arguments.build, "tests", "soak", "killer")),
        "PYTHREADS_SOAK_DUMPS": str(arguments.dumps),
        "PYTHREADS_KILL_EACH": "1",
    }
    failed = 0
    for test in ("soak_test.py", "churn_test.py", "kill_test.py"):
        done = subprocess.run(["/usr/bin/python3", "-B", str(HERE / test)], env=environment, check=False)
        failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
