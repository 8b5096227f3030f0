"""An asyncio loop with nothing to do, and a thread that waits for a coroutine of it."""

import asyncio
import threading

import lock_scene as scene

loop = asyncio.new_event_loop()


def run():
    asyncio.set_event_loop(loop)
    loop.run_forever()


def ask():
    asyncio.run_coroutine_threadsafe(asyncio.sleep(100000), loop).result()


one = scene.thread(run)
two = scene.thread(ask)
scene.waits(one, "loop", None, None, timeout=None)
scene.waits(two, "future", None, None, least="any")
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
