"""Queues between interpreters (concurrent.interpreters, 3.14 on): who gets from an empty one, puts into a full one. Tells, and rests.

They wake each 10 ms to look again.
"""

import json
import os
import threading
from concurrent import interpreters

empty, full = interpreters.create_queue(), interpreters.create_queue(1)
full.put(1)
told_read, told_write = os.pipe()
inner = interpreters.create()


def gets():
    empty.get()


def gets_for_long():
    empty.get(timeout=100000)


def puts():
    inner.prepare_main(full=full, told=told_write)
    inner.exec(
        "import os\n"
        "os.write(told, os.readlink('/proc/thread-self').split('/')[-1].encode() + b'\\n')\n"
        "def puts_inside():\n"
        "    full.put(2)\n"
        "puts_inside()\n"
    )


threads = [threading.Thread(target=each, name=each.__name__, daemon=True) for each in (gets, gets_for_long, puts)]
for each in threads:
    each.start()
line = b""
while not line.endswith(b"\n"):
    line += os.read(told_read, 64)
truth = {each.name: each.native_id for each in threads}
assert truth["puts"] == int(line)
print(json.dumps(truth), flush=True)
os.read(0, 1)
os._exit(0)
