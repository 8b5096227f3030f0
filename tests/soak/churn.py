"""Many kinds of busy threads at once: churn.py THREADS. Nobody ever takes a lock while it holds another, so there can be no
deadlock, whatever a look meets. One line of JSON when all are at work; the end of standard input ends it.
"""

import json
import os
import queue
import random
import sys
import threading
import time

items = queue.Queue(5)
locks = [threading.Lock() for _ in range(8)]
condition = threading.Condition()


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def computes():
    fib(12)


def puts():
    items.put(1)


def gets():
    items.get()


def locks_and_reads():
    with random.choice(locks):
        with open(os.devnull) as file:
            file.read()


def yields_with_lock():
    for i in range(50):
        with locks[i % 8]:
            yield i


def runs_generator():
    sum(yields_with_lock())


def waits_for_condition():
    with condition:
        condition.wait(0.01)


def acquires():
    lock = locks[3]
    lock.acquire()
    try:
        fib(5)
    finally:
        lock.release()


def starts_and_joins():
    thread = threading.Thread(target=fib, args=(8,))
    thread.start()
    thread.join()


def sleeps():
    time.sleep(0.002)


def raises():
    try:
        fib("x")
    except TypeError:
        time.sleep(0)


def forever(function):
    while True:
        function()


KINDS = [
    computes,
    puts,
    gets,
    locks_and_reads,
    runs_generator,
    waits_for_condition,
    acquires,
    starts_and_joins,
    sleeps,
    raises,
]


def main():
    for number in range(int(sys.argv[1])):
        threading.Thread(target=forever, args=(KINDS[number % len(KINDS)],), daemon=True).start()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
