"""A worker that takes from a queue.Queue, and the pool of multiprocessing.dummy at rest."""

import multiprocessing.pool
import threading

import lock_scene as scene

pool = multiprocessing.pool.ThreadPool(2)
pool.map(int, [1, 2, 3])
scene.scene.wait_until_settled(except_for=[each.native_id for each in threading.enumerate() if "_handle" in str(getattr(each, "_target", ""))])
for each in threading.enumerate():
    scene.scene._native_ids[each.ident] = each.native_id
workers = [each for each in threading.enumerate() if getattr(each, "_target", None) is multiprocessing.pool.worker]
for each in workers:
    scene.waits(each, "idle")
scene.tell(["waiting", "running"], absent=["deadlock", "possible-deadlock", "stalled"], settled=False)
