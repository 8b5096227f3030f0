"""A task waits for a timer inside of a with block on a thread's lock, and another task of the loop wants the lock."""

import asyncio
import sys
import threading

import lock_scene as scene

lock = threading.Lock()
other = threading.Lock()
inside = threading.Event()


async def inner():
    with lock:
        inside.set()
        await asyncio.sleep(3600)


async def keeps():
    await inner()


async def wants():
    await asyncio.sleep(0)
    lock.acquire()


async def run():
    kept = asyncio.ensure_future(keeps())
    await asyncio.sleep(0)
    await wants()
    await kept


def main():
    scene.run_loop(run())


looping = scene.thread(main)
inside.wait()
scene.scene.wait_until_settled()
if sys.version_info < (3, 7):
    # The set of all tasks is a variable of _asyncio.so: no object leads to it, and who has the lock is not known.
    scene.waits(looping, "lock", lock, None, least="any")
    scene.tell("unknown", absent=["deadlock", "possible-deadlock", "waiting"])
scene.waits(looping, "lock", lock, looping, "inferred")
scene.holds(looping, lock, "inferred")
scene.tell("deadlock", cause="self-deadlock", nodes=[looping], absent=["waiting"])
