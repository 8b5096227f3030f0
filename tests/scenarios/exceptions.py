"""Exceptions being handled: plain, nested, chained, in finally, in with, re-raised, groups, and after they are gone."""

import os
import sys

import scene


class Refused(Exception):
    pass


class Local:
    class Nested(ValueError):
        pass


def stop():
    os.read(scene.NEVER, 1)


def fails():
    raise ValueError("seven")  # fails


def handles():
    try:
        fails()
    except ValueError:
        stop()


def handles_here():
    try:
        raise Refused("no", 3)  # handles_here
    except Refused:
        os.read(scene.NEVER, 1)


def handles_nested_class():
    try:
        raise Local.Nested("inner")  # handles_nested_class
    except ValueError:
        stop()


def nested():
    try:
        fails()
    except ValueError:
        try:
            raise KeyError("second")  # nested
        except KeyError:
            stop()


def chained():
    try:
        try:
            fails()
        except ValueError as error:
            raise Refused("because") from error  # chained
    except Refused:
        stop()


def handler_calls():
    try:
        fails()
    except ValueError:
        handler_called()


def handler_called():
    try:
        {}["gone"]  # handler_called
    except KeyError:
        pass
    stop()


def in_finally():
    try:
        fails()
    finally:
        stop()


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop()


def in_exit():
    with Manager():
        fails()


def generator():
    try:
        yield
    except ValueError:
        yield stop()


def in_generator():
    running = generator()
    next(running)
    try:
        fails()
    except ValueError as error:
        running.throw(error)


def none():
    try:
        fails()
    except ValueError:
        pass
    stop()


def no_message():
    try:
        raise StopAsyncIteration  # no_message
    except StopAsyncIteration:
        stop()


def from_c():
    try:
        int("no number")  # from_c
    except ValueError:
        stop()


def from_system():
    try:
        open("/nowhere/at/all")  # from_system
    except OSError:
        stop()


def very_long():
    try:
        raise RuntimeError("long " * 1000)  # very_long
    except RuntimeError:
        stop()


def odd_text():
    try:
        raise RuntimeError("a\x1b[31m\udcff\n\u4e2d")  # odd_text
    except RuntimeError:
        stop()


def handled(thread, kind, message, mark):
    where = {"file": os.path.abspath(__file__), "line": scene.line(mark, __file__)}
    scene.expect(thread, exception={"type": kind, "message": message, "raised_at": where})


handled("handles", "ValueError", "seven", "fails")
handled("handles_here", "__main__.Refused", "('no', 3)", "handles_here")
handled("handles_nested_class", "__main__.Local.Nested", "inner", "handles_nested_class")
handled("nested", "KeyError", "'second'", "nested")
handled("chained", "__main__.Refused", "because", "chained")
handled("handler_calls", "ValueError", "seven", "fails")
handled("in_finally", "ValueError", "seven", "fails")
handled("in_exit", "ValueError", "seven", "fails")
handled("in_generator", "ValueError", "seven", "fails")
handled("no_message", "StopAsyncIteration", "", "no_message")
handled("from_c", "ValueError", "invalid literal for int() with base 10: 'no number'", "from_c")
scene.expect("none", exception=None)

WAYS = [
    handles,
    handles_here,
    handles_nested_class,
    nested,
    chained,
    handler_calls,
    in_finally,
    in_exit,
    in_generator,
    none,
    no_message,
    from_c,
    from_system,
    very_long,
    odd_text,
]
if sys.version_info >= (3, 11):
    # except* is no syntax before 3.11.
    exec(
        compile(
            "def grouped():\n"
            "    try:\n"
            "        raise ExceptionGroup('several', [ValueError('one'), TypeError('two')])\n"
            "    except* ValueError:\n"
            "        stop()\n",
            "grouped.py",
            "exec",
        )
    )
    WAYS.append(grouped)  # noqa: F821
for each in WAYS:
    scene.thread(each, name=each.__name__)
scene.ready()
