"""`__del__`, weakref.finalize and generators' cleanup, running in the middle of ordinary lines."""

import os
import weakref

import scene


class Dies:
    def __del__(self):
        os.read(scene.NEVER, 1)  # dies


def deletes():
    held = Dies()
    del held


def overwrites():
    held = Dies()
    held = None
    return held


def returns():
    held = [Dies()]
    return len(held)


def drops_result():
    Dies()


def clears():
    held = {"one": Dies()}
    held.clear()


def finalized():
    os.read(scene.NEVER, 1)  # finalized


class Plain:
    pass


def finalizes():
    held = Plain()
    weakref.finalize(held, finalized)
    del held


def abandoned():
    try:
        yield
    finally:
        os.read(scene.NEVER, 1)  # abandoned


def abandons():
    running = abandoned()
    next(running)
    del running


for each in (deletes, overwrites, returns, drops_result, clears, finalizes, abandons):
    scene.thread(each, name=each.__name__)
scene.ready(
    lines={
        "deletes": ["__del__", scene.line("dies")],
        "finalizes": ["finalized", scene.line("finalized")],
        "abandons": ["abandoned", scene.line("abandoned")],
    }
)
