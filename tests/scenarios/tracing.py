"""sys.settrace and sys.setprofile: threads that are traced, profiled, both, and one inside its own trace function."""

import os
import sys
import threading

import scene


def stop():
    os.read(scene.NEVER, 1)  # stop


def trace(frame, event, argument):
    return trace


def profile(frame, event, argument):
    return None


def traced():
    sys.settrace(trace)
    for _ in range(2):
        stop()


def profiled():
    sys.setprofile(profile)
    for _ in range(2):
        stop()


def both():
    sys.settrace(trace)
    sys.setprofile(profile)
    stop()


def blocking_trace(frame, event, argument):
    if event == "line" and frame.f_code.co_name == "victim":
        os.read(scene.NEVER, 1)  # blocking_trace
    return blocking_trace


def victim():
    first = 1
    second = 2
    return first + second


def inside_trace():
    sys.settrace(blocking_trace)
    victim()


def no_more():
    sys.settrace(trace)
    sys.setprofile(profile)
    sys.setprofile(None)
    sys.settrace(None)
    stop()


def generator():
    yield 1
    stop()


def traced_generator():
    sys.settrace(trace)
    for _ in generator():
        pass


scene.expect("traced", tracing=True, profiling=False)
scene.expect("profiled", tracing=False, profiling=True)
scene.expect("both", tracing=True, profiling=True)
scene.expect("no_more", tracing=False, profiling=False)
scene.expect("traced_generator", tracing=True, profiling=False)
for each in (traced, profiled, both, inside_trace, no_more, traced_generator):
    scene.thread(each, name=each.__name__)
scene.expect(threading.current_thread().name, tracing=False, profiling=False)
scene.ready(lines={"inside_trace": ["blocking_trace", scene.line("blocking_trace")]})
