"""A small hung service: `make demo` runs it and looks at it with pythreads.

Two transfers take the locks of the same two accounts in opposite order and wait for each other for ever. Around them
is what a service has besides: a pool of workers that are stuck behind the two, an idle pool, a thread that computes.
"""

import concurrent.futures
import queue
import sys
import threading
import time


class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance
        self.lock = threading.RLock()


class Bank:
    def __init__(self):
        self.alice = Account("alice", 100)
        self.bob = Account("bob", 100)
        self.both_hold_one = threading.Barrier(2)

    def transfer(self, source, target, amount):
        with source.lock:
            self.both_hold_one.wait()
            with target.lock:
                source.balance -= amount
                target.balance += amount

    def statement(self, account):
        with account.lock:
            return account.balance


def settle(bank):
    """Computes all day long, and does not need the accounts."""
    interest = 0
    while True:
        interest = (interest * 31 + 7) % 1_000_003


def deliver(letters):
    while True:
        letters.get()


def main():
    bank = Bank()
    threads = [
        threading.Thread(target=bank.transfer, args=(bank.alice, bank.bob, 10), name="transfer-alice-bob"),
        threading.Thread(target=bank.transfer, args=(bank.bob, bank.alice, 20), name="transfer-bob-alice"),
        threading.Thread(target=settle, args=(bank,), name="interest", daemon=True),
        threading.Thread(target=deliver, args=(queue.Queue(),), name="letters", daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not bank.both_hold_one.n_waiting == 0 or bank.both_hold_one.broken:
        time.sleep(0.01)

    tellers = concurrent.futures.ThreadPoolExecutor(max_workers=3, thread_name_prefix="teller")
    idle = concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="auditor")
    for _ in range(2):
        idle.submit(time.sleep, 0.05)
    statements = [tellers.submit(bank.statement, account) for account in (bank.alice, bank.bob, bank.alice)]

    time.sleep(0.3)
    print("READY", flush=True)
    sys.stdout.flush()
    for statement in statements:
        statement.result()


if __name__ == "__main__":
    main()
