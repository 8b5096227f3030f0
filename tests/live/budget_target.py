"""Two threads that wait for each other, many that wait for one of their locks, and many that wait for nothing inside.

budget_target.py WAITERS SLEEPERS
"""

import os
import sys
import threading
import time

waiters, sleepers = int(sys.argv[1]), int(sys.argv[2])
threading.stack_size(256 << 10)
FIRST, SECOND = threading.Lock(), threading.Lock()
NEVER, _KEPT_OPEN = os.pipe()
MET = threading.Barrier(2)


def take(mine, other):
    with mine:
        MET.wait()
        with other:
            pass


def wait_for_first():
    with FIRST:
        pass


def sleep_outside():
    os.read(NEVER, 1)


def started(name, work, *arguments):
    threading.Thread(target=work, args=arguments, name=name, daemon=True).start()


started("left", take, FIRST, SECOND)
started("right", take, SECOND, FIRST)
while not (FIRST.locked() and SECOND.locked()):
    time.sleep(0.01)
for number in range(waiters):
    started("waiter-%d" % number, wait_for_first)
for number in range(sleepers):
    started("sleeper-%d" % number, sleep_outside)
time.sleep(0.5)
print("ready", flush=True)
os.read(NEVER, 1)
