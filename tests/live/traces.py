"""Traces threads, as a debugger would: traces.py TID…. Says `traced` and waits for the end of its input."""

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206

ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace.restype = ctypes.c_long
for tid in sys.argv[1:]:
    if ptrace(PTRACE_SEIZE, int(tid), None, None) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
os.write(1, b"traced\n")
os.read(0, 1)
