"""Every worker of a pool waits for work that lies in the pool's own queue."""

import concurrent.futures
import threading

import lock_scene as scene

pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="pool")
meet = threading.Barrier(2)


def outer():
    meet.wait()
    return pool.submit(int).result()


for _ in range(2):
    pool.submit(outer)
scene.scene.wait_until_settled()
for each in threading.enumerate():
    if each.name.startswith("pool"):
        scene.scene._native_ids[each.ident] = each.native_id
workers = [each for each in threading.enumerate() if each.name.startswith("pool")]
for each in workers:
    scene.waits(each, "future", None, None)
scene.tell("deadlock", "pool-starvation", workers)
