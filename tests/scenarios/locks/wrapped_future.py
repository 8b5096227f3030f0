"""A loop's thread waits for a future that it has wrapped for itself, and that another thread will set."""

import asyncio
import concurrent.futures

import lock_scene as scene

future = concurrent.futures.Future()


def run():
    async def outer():
        asyncio.wrap_future(future)
        future.add_done_callback(lambda _: asyncio.get_event_loop())
        future.result()

    scene.run_loop(outer())


def work():
    scene.rest()
    future.set_result(1)


one = scene.thread(run)
two = scene.thread(work)
scene.waits(one, "future", future, None)
scene.tell(["waiting", "stalled", "unknown"], absent=["deadlock", "possible-deadlock"])
