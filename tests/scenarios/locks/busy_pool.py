"""A pool with waiting work whose workers are busy outside: not starved."""

import concurrent.futures
import threading

import lock_scene as scene

pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="pool")
for _ in range(2):
    pool.submit(scene.rest)
queued = pool.submit(int)


def wait():
    queued.result()


one = scene.thread(wait)
for each in threading.enumerate():
    scene.scene._native_ids[each.ident] = each.native_id
scene.waits(one, "future", queued, None)
scene.tell(["waiting", "running"], absent=["deadlock", "possible-deadlock", "stalled"])
