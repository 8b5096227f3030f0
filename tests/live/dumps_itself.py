"""Runs `pythreads dump` on itself and reads the answer by a pipe: dumps_itself.py PYTHREADS [options].

While it is held it reads nothing; whoever writes to it then waits for ever. Prints the answer's size.
"""

import os
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenarios"))
import scene  # noqa: E402


def deep(left):
    return deep(left - 1) if left else os.read(scene.NEVER, 1)


threading.stack_size(1 << 20)
for _ in range(100):
    scene.thread(deep, 200)
scene.wait_until_settled()
done = subprocess.run(
    [sys.argv[1], "dump", str(os.getpid()), *sys.argv[2:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120
)
os.write(1, ("%d %d\n%s" % (done.returncode, len(done.stdout), done.stderr.decode())).encode())
os._exit(0)
