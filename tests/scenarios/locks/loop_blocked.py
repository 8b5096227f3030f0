"""A loop's thread is blocked on a queue while another waits for a coroutine of it."""

import asyncio
import queue
import threading

import lock_scene as scene

loop = asyncio.new_event_loop()
never = queue.Queue()


async def block():
    never.get()


def run():
    asyncio.set_event_loop(loop)
    loop.run_forever()


def ask():
    asyncio.run_coroutine_threadsafe(block(), loop).result()


one = scene.thread(run)
two = scene.thread(ask)
scene.waits(one, "queue-get", never, None)
scene.waits(two, "future", None, None, least="any")
scene.tell("stalled", "loop-blocked", [one])
