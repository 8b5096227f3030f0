"""Async functions: a chain of awaits that runs, tasks that wait, async generators and managers, a loop in a thread."""

import asyncio
import contextlib
import os

import scene


async def blocks():
    os.read(scene.NEVER, 1)  # blocks


async def middle():
    await blocks()


class Awaitable:
    def __await__(self):
        yield from middle().__await__()


async def outer():
    return await Awaitable()


async def counts():
    for number in range(3):
        yield number
        await asyncio.sleep(0)
        os.read(scene.NEVER, 1)  # counts


async def iterates():
    async for _ in counts():
        pass


class Managed:
    async def __aenter__(self):
        pass

    async def __aexit__(self, *details):
        await blocks()


if hasattr(contextlib, "asynccontextmanager"):  # new in 3.7

    @contextlib.asynccontextmanager
    async def managed():
        yield
        await blocks()

else:
    managed = Managed


async def leaves_block():
    async with managed():
        await asyncio.sleep(0)


async def waits():
    await asyncio.sleep(100000)


async def gathers():
    await asyncio.gather(waits(), waits(), outer())


def steps_by_hand():
    coroutine = outer()
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


def run(function):
    scene.run_loop(function())


async def main():
    tasks = [asyncio.ensure_future(waits()) for _ in range(3)]
    await asyncio.sleep(0)
    await tells()
    return tasks


async def tells():
    scene.ready(lines={"outer": ["blocks", scene.line("blocks")], "iterates": ["counts", scene.line("counts")]})


async def loop_waits():
    await asyncio.gather(waits(), waits())


for each in (outer, iterates, leaves_block, gathers, loop_waits):
    scene.thread(run, each, name=each.__name__)
scene.thread(steps_by_hand, name="steps_by_hand")
scene.run_loop(main())
