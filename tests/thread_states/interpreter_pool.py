"""An InterpreterPoolExecutor (3.14 on): a worker that reads in its interpreter, one that is idle, and who wants the result."""

import concurrent.futures
import json
import os
import threading

never, _kept = os.pipe()
pool = concurrent.futures.InterpreterPoolExecutor(2)
future = pool.submit(os.read, never, 1)
pool.submit(os.getpid).result()  # by a second worker


def wants():
    future.result()


waiter = threading.Thread(target=wants, name="wants", daemon=True)
waiter.start()
workers = sorted(each.native_id for each in pool._threads)
print(json.dumps({"waiter": waiter.native_id, "workers": workers}), flush=True)
os.read(0, 1)
os._exit(0)
