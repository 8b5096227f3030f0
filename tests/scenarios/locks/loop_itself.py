"""An asyncio loop's own thread waits for what only the loop could do."""

import asyncio
import threading

import lock_scene as scene

def run():
    async def inner():
        return 1

    async def outer():
        loop = asyncio.get_event_loop()
        asyncio.run_coroutine_threadsafe(inner(), loop).result()

    scene.run_loop(outer())


one = scene.thread(run)
scene.waits(one, "future", None, None, least="any")
scene.tell("deadlock", "loop-waits-on-itself", [one])
