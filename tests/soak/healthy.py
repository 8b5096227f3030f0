"""A busy healthy program, of the kind that a wait-for graph gets wrong: healthy.py KIND.

Each worker counts its steps, and each waits, again and again, for what another has. Nothing of it can be in a deadlock:
locks are taken in one order, or given back before the next is waited for, or waited for with a limit. Standard input: a
line is answered by one line of JSON with the counters.

And programs that are dead: healthy.py dead_KIND. They answer with no counters.
"""

import asyncio
import collections
import concurrent.futures
import importlib
import json
import os
import queue
import random
import sys
import tempfile
import threading
import time

sys.setswitchinterval(0.0005)
counters = []


def worker(step, *arguments):
    """A thread that takes its step for ever."""
    number = len(counters)
    counters.append(0)

    def run():
        while True:
            step(*arguments)
            counters[number] += 1

    threading.Thread(target=run, name="%s-%d" % (step.__name__, number), daemon=True).start()


def compute(n=300):
    return sum(i * i for i in range(n))


def pause():
    time.sleep(random.random() / 500)


# ---- healthy programs


def crowd(gives):
    """In each of them: a lock that is slept with, and in every other one that is given on at once."""
    slow, fast = threading.Lock(), threading.RLock()

    def takes_turns():
        with slow:
            time.sleep(random.random() / 200)

    def gives_on():
        with fast:
            compute(100)

    for _ in range(4):
        worker(takes_turns)
    for _ in range(3 if gives else 0):
        worker(gives_on)


def ping_pong():
    condition, turn = threading.Condition(), [0]

    def play(me):
        with condition:
            while turn[0] != me:
                condition.wait()
            turn[0] = 1 - me
            condition.notify_all()

    for i in range(2):
        worker(play, i)


def pools():
    outer = concurrent.futures.ThreadPoolExecutor(3)
    inner = concurrent.futures.ThreadPoolExecutor(2)
    lock = threading.Lock()

    def task(n):
        with lock:
            pause()
        return n

    def submits():
        list(outer.map(task, range(4)))

    def nests():
        outer.submit(lambda: inner.submit(task, 1).result()).result()

    worker(submits)
    worker(nests)


def back_off():
    locks = [threading.Lock(), threading.Lock()]

    def crosses(first, second):
        with first:
            pause()
            if second.acquire(timeout=random.random() / 100):
                second.release()

    def tries(first, second):
        with first:
            if not second.acquire(False):
                return
            second.release()
        pause()

    for one, other in (locks, reversed(locks)):
        worker(crosses, one, other)
        worker(tries, one, other)


def hand_over():
    """A Lock that one thread takes and another gives back."""
    baton, taken = threading.Lock(), queue.Queue(1)

    def takes():
        baton.acquire()
        taken.put(True)

    def gives():
        taken.get()
        pause()
        baton.release()

    lock, rlock = threading.Lock(), threading.RLock()

    def storms():
        with lock:
            compute()
        with rlock:
            with rlock:
                compute()

    worker(takes)
    worker(gives)
    for _ in range(3):
        worker(storms)


def conditions():
    condition, items = threading.Condition(), collections.deque()

    def produces():
        with condition:
            while len(items) > 3:
                condition.wait(0.5)
            items.append(1)
            condition.notify()

    def consumes():
        with condition:
            condition.wait_for(lambda: items, 0.5)
            if items:
                items.popleft()
                pause()
            condition.notify_all()

    for _ in range(2):
        worker(produces)
        worker(consumes)


def queues():
    first, second = queue.Queue(2), queue.Queue(2)
    simple = queue.SimpleQueue() if hasattr(queue, "SimpleQueue") else queue.Queue()

    def puts():
        first.put(1)

    def moves():
        second.put(first.get())
        first.task_done()
        pause()

    def ends():
        simple.put(second.get())

    def gets():
        simple.get()

    for step in (puts, moves, ends, gets, moves):
        worker(step)


def event_loop():
    loop = asyncio.new_event_loop()
    lock = threading.Lock()
    number = len(counters)
    counters.append(0)

    def blocks():
        with lock:
            pause()

    async def client(shared):
        while True:
            async with shared:
                await asyncio.sleep(0.0005)
            await loop.run_in_executor(None, blocks)
            counters[number] += 1

    async def serve():
        shared = asyncio.Lock()
        await asyncio.gather(*[client(shared) for _ in range(4)])

    def calls():
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001), loop).result()

    def run():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    threading.Thread(target=run, name="loop", daemon=True).start()
    worker(calls)
    worker(blocks)


def rlocks():
    locks = [threading.RLock() for _ in range(4)]

    def nests(least):
        for number in range(least, 4):
            with locks[number]:
                with locks[number]:
                    if number < 3:
                        with locks[number + 1]:
                            compute(50)
                    else:
                        pause()

    for i in range(4):
        worker(nests, i % 3)


def gil():
    lock = threading.Lock()

    def computes():
        compute(3000)

    def computes_inside():
        with lock:
            compute(3000)

    for step in (computes, computes, computes_inside, computes_inside, computes_inside):
        worker(step)


def joins():
    lock = threading.Lock()

    def inner():
        with lock:
            pause()

    def starts():
        threads = [threading.Thread(target=inner, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for _ in range(2):
        worker(starts)


def accounts():
    """Transfers that take their two locks in the order of the accounts, and rest while they have them."""
    locks = [threading.Lock() for _ in range(4)]

    def transfers():
        one, other = sorted(random.sample(range(4), 2))
        with locks[one]:
            with locks[other]:
                pause()

    for _ in range(4):
        worker(transfers)


def signals():
    """Events, semaphores and a barrier."""
    event, semaphore, barrier = threading.Event(), threading.BoundedSemaphore(2), threading.Barrier(2)

    def sets():
        event.set()
        pause()
        event.clear()
        pause()

    def waits():
        event.wait(0.2)
        with semaphore:
            pause()

    def meets():
        barrier.wait()
        with semaphore:
            pause()

    worker(sets)
    for _ in range(2):
        worker(waits)
        worker(meets)


def imports():
    folder = tempfile.mkdtemp(prefix="healthy-")
    names = ["healthy_%d" % i for i in range(3)]
    for i, name in enumerate(names):
        with open(os.path.join(folder, name + ".py"), "w") as file:
            file.write("import time\ntime.sleep(0.001)\n" + ("import %s\n" % names[i + 1] if i < 2 else ""))
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()

    def imports_again(first):
        try:
            importlib.import_module(names[first])
        except (ImportError, KeyError):
            pass  # another thread has just taken it out of sys.modules
        if random.random() < 0.3:
            sys.modules.pop(names[first], None)
        pause()

    for i in range(3):
        worker(imports_again, i)


# ---- dead ones


def dead_locks(kind=threading.Lock, count=2):
    locks = [kind() for _ in range(count)]
    meeting = threading.Barrier(count)

    def takes(i):
        with locks[i]:
            meeting.wait()
            with locks[(i + 1) % count]:
                pass

    for i in range(count):
        threading.Thread(target=takes, args=(i,), name="dead-%d" % i, daemon=True).start()


def dead_rlocks():
    dead_locks(threading.RLock, 3)


def dead_itself():
    lock = threading.Lock()

    def takes():
        with lock:
            with lock:
                pass

    threading.Thread(target=takes, name="dead", daemon=True).start()


def dead_join():
    lock = threading.Lock()

    def inner():
        with lock:
            pass

    def joins():
        with lock:
            thread = threading.Thread(target=inner, name="dead-1", daemon=True)
            thread.start()
            thread.join()

    threading.Thread(target=joins, name="dead-0", daemon=True).start()


HEALTHY = [ping_pong, pools, back_off, hand_over, conditions, queues, event_loop, rlocks, gil, joins, accounts, signals,
           imports]
DEAD = [dead_locks, dead_rlocks, dead_itself, dead_join]


def main():
    program = {each.__name__: each for each in HEALTHY + DEAD}[sys.argv[1]]
    program()
    if program in HEALTHY:
        crowd(HEALTHY.index(program) % 2 == 1)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(counters), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
