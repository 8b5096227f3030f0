"""Two interpreters, each with one of two native mutexes, that want each other's. Tells, and rests."""

import ctypes
import json
import os
import sys
import threading

import subinterpreter

never, _kept = os.pipe()
told_read, told_write = os.pipe()
mutexes = [ctypes.create_string_buffer(64) for _ in range(2)]
addresses = [ctypes.addressof(each) for each in mutexes]
gates = [os.pipe() for _ in range(2)]
SOURCE = """
import ctypes, json, os
libc = ctypes.CDLL(None)
mine, other = ctypes.c_void_p({mine}), ctypes.c_void_p({other})
libc.pthread_mutex_lock(mine)
os.write({told}, (str(int(os.readlink("/proc/thread-self").split("/")[-1])) + chr(10)).encode())
os.read({gate}, 1)
libc.pthread_mutex_lock(other)
"""
for i in range(2):
    source = SOURCE.format(mine=addresses[i], other=addresses[1 - i], told=told_write, gate=gates[i][0])
    # Before 3.13 ctypes can't be had in an interpreter with a GIL of its own.
    made = subinterpreter.create(isolated=sys.version_info >= (3, 13))
    threading.Thread(target=subinterpreter.run, args=(made, source), name="host-%d" % i, daemon=True).start()
lines = b""
while lines.count(b"\n") < 2:
    lines += os.read(told_read, 4096)
for _, gate in gates:
    os.write(gate, b".")
print(json.dumps({"tids": sorted(map(int, lines.split())), "mutexes": addresses}), flush=True)
os.read(0, 1)
os._exit(0)
