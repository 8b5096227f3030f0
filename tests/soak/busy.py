"""A program that does all at once what a stop could disturb, and checks its own results.

Each worker counts what it has done and notes what went wrong. Standard input: a line `count` is answered by one
line of JSON with the counters; `end` by a last one with the verdict: {"ok": …, "problems": […], "counters": {…}}.
"""

import hashlib
import json
import os
import pathlib
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402,F401  (ends with who started it)

problems = []
counters = {}
ending = threading.Event()


def wrong(text):
    problems.append("{}: {}".format(threading.current_thread().name, text))


def worker(function):
    """Repeats `function(round)` until the end; whatever it raises is a problem."""
    name = function.__name__
    counters[name] = 0

    def run():
        while not ending.is_set():
            try:
                function(counters[name])
            except BaseException as error:
                wrong("{}: {!r}".format(name, error))
                return
            counters[name] += 1

    return threading.Thread(target=run, name=name)


def receive(connection, size):
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def block_of(number, size):
    return hashlib.sha256(str(number).encode()).digest() * (size // 32)


ours, theirs = socket.socketpair()


def sends(number):
    block = block_of(number, 1 << 20)
    ours.sendall(len(block).to_bytes(8, "big") + block)


def receives(number):
    size = int.from_bytes(receive(theirs, 8), "big")
    if receive(theirs, size) != block_of(number, 1 << 20):
        wrong("block {} is not what was sent".format(number))


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)


def accepts(number):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(receive(connection, 100))


def connects(number):
    with socket.create_connection(listener.getsockname(), timeout=30) as connection:
        message = ("%0100d" % number).encode()
        connection.sendall(message)
        if receive(connection, 100) != message:
            wrong("echo {} is not what was sent".format(number))


read_end, write_end = os.pipe()


def writes(number):
    data = block_of(number, 1 << 18)
    while data:
        data = data[os.write(write_end, data) :]


def reads(number):
    size, parts = 1 << 18, []
    while size:
        parts.append(os.read(read_end, size))
        size -= len(parts[-1])
    if b"".join(parts) != block_of(number, 1 << 18):
        wrong("piece {} of the pipe is not what was written".format(number))


def at_least(seconds, began, what):
    took = time.monotonic() - began
    if took < seconds:
        wrong("{} of {} s ended after {}".format(what, seconds, took))


def sleeps(number):
    began = time.monotonic()
    time.sleep(0.011)
    at_least(0.011, began, "sleep")


idle_read, _idle_write = os.pipe()


def polls(number):
    began = time.monotonic()
    poll = select.poll()
    poll.register(idle_read, select.POLLIN)
    if poll.poll(13):
        wrong("poll returned an event")
    at_least(0.013, began, "poll")


def selects(number):
    began = time.monotonic()
    if select.select([idle_read], [], [], 0.012)[0]:
        wrong("select returned an event")
    at_least(0.012, began, "select")


def epolls(number):
    began = time.monotonic()
    with select.epoll() as epoll:
        epoll.register(idle_read, select.EPOLLIN)
        if epoll.poll(0.014):
            wrong("epoll returned an event")
    at_least(0.014, began, "epoll")


def waits_for_event(number):
    began = time.monotonic()
    if threading.Event().wait(0.01):
        wrong("an event was set by nobody")
    at_least(0.01, began, "wait")


def runs_child(number):
    text = str(number)
    done = subprocess.run(
        [sys.executable, "-ISc", "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.exit(7)"],
        input=text,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    if done.returncode != 7 or done.stdout != text * 2:
        wrong("child {}: {!r}".format(number, done))


def forks(number):
    child = os.fork()
    if child == 0:
        os._exit(number % 100)
    _, status = os.waitpid(child, 0)
    if not os.WIFEXITED(status) or os.WEXITSTATUS(status) != number % 100:
        wrong("forked child {} ended with {}".format(number, status))
    time.sleep(0.01)


tasks, answers = queue.Queue(maxsize=3), queue.Queue(maxsize=3)


def puts(number):
    tasks.put(number, timeout=60)


def gets(number):
    if tasks.get(timeout=60) != number:
        wrong("the queue's order")
    answers.put(number, timeout=60)


def takes(number):
    if answers.get(timeout=60) != number:
        wrong("the answers' order")


def computes(number):
    if sum(range(20000)) != 199990000 or pow(3, 20000, 1000003) != pow(pow(3, 100, 1000003), 200, 1000003):
        wrong("arithmetic")


def timers(number):
    done = threading.Event()
    began = time.monotonic()
    threading.Timer(0.01, done.set).start()
    if not done.wait(60):
        wrong("a timer did not fire")
    at_least(0.01, began, "timer")


# Signals: one byte for each that CPython's own handler got (signal.set_wakeup_fd); queued ones must all arrive.
wakeup_read, wakeup_write = os.pipe()
os.set_blocking(wakeup_write, False)
handled = {"alarm": 0, "child": 0, "user": 0}
received = {number: 0 for number in range(65)}
QUEUED = signal.SIGRTMIN + 1


def on_signal(name):
    def handler(number, frame):
        handled[name] += 1

    return handler


def counts_signals():
    while True:
        for number in os.read(wakeup_read, 4096):
            received[number] += 1


def signals_queued(number):
    """A burst of queued signals: each is delivered."""
    before = received[QUEUED]
    for _ in range(5):
        os.kill(os.getpid(), QUEUED)
    deadline = time.monotonic() + 60
    while received[QUEUED] < before + 5:
        if time.monotonic() > deadline:
            raise TimeoutError("a signal was lost: {} of 5".format(received[QUEUED] - before))
        time.sleep(0.002)
    if received[QUEUED] != before + 5:
        wrong("too many signals")


def signals_thread(number):
    """One at a time, to this thread: pending and handled before the next."""
    before = received[signal.SIGUSR1]
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while received[signal.SIGUSR1] == before:
        if time.monotonic() > deadline:
            raise TimeoutError("SIGUSR1 was lost")
        time.sleep(0.002)


def waits_for_signal(number):
    """A blocked signal stays pending until it is taken. (Not sigtimedwait: a stop makes it return EINTR, and
    CPython up to 3.15 takes a time that has passed by then for a signal.)"""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMAX])
    signal.pthread_kill(threading.get_ident(), signal.SIGRTMAX)
    time.sleep(0.003)
    if signal.SIGRTMAX not in signal.sigpending():
        wrong("SIGRTMAX was lost")
    elif signal.sigwait([signal.SIGRTMAX]) != signal.SIGRTMAX:
        wrong("another signal came")


PAIRS = [(sends, receives), (accepts, connects), (writes, reads), (puts, gets), (gets, takes)]
ALONE = [
    sleeps,
    polls,
    selects,
    epolls,
    waits_for_event,
    runs_child,
    forks,
    computes,
    timers,
    signals_queued,
    signals_thread,
    waits_for_signal,
]


def snapshot():
    counted = dict(counters, alarm=handled["alarm"], child=handled["child"], user=handled["user"])
    return {"ok": not problems, "problems": problems[:20], "counters": counted}


def say(what):
    os.write(1, (json.dumps(what) + "\n").encode())


def main():
    for number, name in ((signal.SIGALRM, "alarm"), (signal.SIGCHLD, "child"), (signal.SIGUSR1, "user")):
        signal.signal(number, on_signal(name))
    signal.signal(QUEUED, lambda number, frame: None)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=True)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    threading.Thread(target=counts_signals, name="counts_signals", daemon=True).start()
    functions = []
    for function in [each for pair in PAIRS for each in pair] + ALONE:
        if function not in functions:
            functions.append(function)
    threads = [worker(function) for function in functions]
    for thread in threads:
        thread.daemon = True
        thread.start()
    say(snapshot())
    pending = b""
    while True:
        line = os.read(0, 100)
        if not line:
            os._exit(3)
        pending += line
        while b"\n" in pending:
            command, pending = pending.split(b"\n", 1)
            if command == b"end":
                return end()
            say(snapshot())


def end():
    alarms = handled["alarm"]
    deadline = time.monotonic() + 60
    while handled["alarm"] == alarms and time.monotonic() < deadline:
        time.sleep(0.01)
    if handled["alarm"] == alarms:
        wrong("the interval timer is gone")
    signal.setitimer(signal.ITIMER_REAL, 0)
    said = snapshot()  # before partners see each other leave
    for name, count in said["counters"].items():
        if count == 0:
            said["ok"] = False
            said["problems"].append("{} did nothing".format(name))
    for leading, following in PAIRS:
        ahead = abs(counters[leading.__name__] - counters[following.__name__])
        if ahead > 5:
            said["ok"] = False
            said["problems"].append("{} and {} are {} apart".format(leading.__name__, following.__name__, ahead))
    say(said)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
