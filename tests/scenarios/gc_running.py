"""A collection that is going on: its callback blocks."""

import gc
import os

import scene


def in_callback(phase, info):
    if phase == "start":
        os.read(scene.NEVER, 1)  # in_callback


def collects():
    gc.collect()


gc.disable()
gc.callbacks.append(in_callback)
collector = scene.thread(collects, name="collects")
scene.ready(
    lines={"collects": ["in_callback", scene.line("in_callback")]},
    gc={"collecting": True, "thread": collector.native_id},
)
