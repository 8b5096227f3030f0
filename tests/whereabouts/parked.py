"""A thread waits for a lock that another holds; says who is who as one JSON line, and waits on standard input."""

import json
import os
import sys
import threading

lock = threading.Lock()
held = threading.Event()
told = {}


def note():
    told[threading.current_thread().name] = {
        "native_id": threading.get_native_id(),
        "ident": threading.get_ident(),
    }


def hold():
    note()
    with lock:
        held.set()
        forever.acquire()


def want():
    note()
    noted.set()
    with lock:
        pass


forever = threading.Lock()
forever.acquire()
noted = threading.Event()
threading.Thread(target=hold, name="holder", daemon=True).start()
held.wait()
threading.Thread(target=want, name="waiter", daemon=True).start()
noted.wait()
note()
truth = {"version": sys.version.split()[0], "pid": os.getpid(), "threads": told, "lock": id(lock)}
os.write(1, json.dumps(truth).encode() + b"\n")
os.read(0, 1)
os._exit(0)
