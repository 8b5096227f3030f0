"""Future.result and exception, wait and as_completed: who runs it, or where it lies."""

import concurrent.futures
import threading

import lock_scene as scene

pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool")
running = pool.submit(scene.rest)
queued = pool.submit(int)


def result():
    running.result()


def timed():
    running.exception(100000)


def wait():
    concurrent.futures.wait([running, queued])


def completed():
    list(concurrent.futures.as_completed([running]))


def lying():
    queued.result()


threads = [scene.thread(each) for each in (result, timed, wait, completed, lying)]
worker = [each for each in threading.enumerate() if each.name.startswith("pool")][0]
scene.scene._native_ids[worker.ident] = worker.native_id
scene.waits(threads[0], "future", running, worker, name="running")
scene.waits(threads[1], "future", running, worker, timeout=True)
scene.waits(threads[2], "future", None, None, least="any")
scene.waits(threads[3], "future", running, worker)
scene.waits(threads[4], "future", queued, None, name="queued")
scene.tell("waiting", absent=["deadlock", "possible-deadlock", "stalled"])
