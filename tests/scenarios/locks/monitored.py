"""Every instruction, line, call and branch is monitored; by f_trace_opcodes before 3.12. What is read of the code is
the same as without."""

import sys
import threading

import lock_scene as scene


class Guard:
    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()
        return self

    def __exit__(self, *details):
        try:
            self.exited = True
        finally:
            self.lock.release()


def trace(frame, event, argument):
    if hasattr(frame, "f_trace_opcodes"):  # new in 3.7
        frame.f_trace_opcodes = True
    return trace


def monitor():
    if not hasattr(sys, "monitoring"):
        threading.settrace(trace)
        return
    events = sys.monitoring.events
    wanted = [events.INSTRUCTION, events.LINE, events.CALL, events.JUMP, events.PY_START, events.PY_RETURN]
    wanted += [getattr(events, name) for name in ("BRANCH_LEFT", "BRANCH_RIGHT", "BRANCH") if hasattr(events, name)][:2]
    sys.monitoring.use_tool_id(1, "monitored")
    for event in wanted:
        sys.monitoring.register_callback(1, event, lambda *details: None)
    sys.monitoring.set_events(1, sum(wanted))


opened, tried, guard = threading.Lock(), threading.Lock(), Guard()
meet = threading.Barrier(3)


def with_open():
    with opened:  # opens
        meet.wait()
        with tried:
            pass


def with_try():
    tried.acquire()  # tries
    try:
        meet.wait()
        for _ in range(3):
            with guard:
                pass
    finally:
        tried.release()


def with_guard():
    with guard:
        meet.wait()
        opened.acquire()


monitor()
one = scene.scene.thread(with_open, name="with_open")
two = scene.scene.thread(with_try, name="with_try")
three = scene.thread(with_guard)
scene.waits(one, "lock", tried, two, "inferred", name="tried")
scene.waits(two, "lock", guard.lock, three, "inferred", any_name=True)
scene.waits(three, "lock", opened, one, name="opened")
scene.holds(one, opened, taken=scene.line("opens"))
scene.holds(two, tried, "inferred", taken=scene.line("tries"))
scene.holds(three, guard.lock, "inferred")
scene.tell("deadlock", "lock-cycle", [one, two, three])
