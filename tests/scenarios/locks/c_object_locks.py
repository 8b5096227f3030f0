"""Two threads in one zlib object: the lock inside of it."""

import os
import time

import lock_scene as scene

try:
    import zlib
except ImportError:
    scene.tell("waiting")

chunk = os.urandom(1 << 16) * 8000
compressor = zlib.compressobj(9)


def compress():
    compressor.compress(chunk)


def at_rest(threads):
    """Those that sleep and did not run meanwhile: GIL or not, only the lock keeps a compressing thread."""
    before = scene.scene.switches()
    time.sleep(0.05)
    now = scene.scene.switches()
    return [each for each in threads if before.get(each.native_id) == now.get(each.native_id) and now[each.native_id][0] == "S"]


started = [scene.scene.thread(compress, name=name) for name in ("one", "two")]
waiting = []
while len(waiting) != 1:
    waiting = at_rest(started)
scene.waits(waiting[0], "c-lock", compressor, None)
scene.tell(["running", "waiting"], absent=["deadlock", "possible-deadlock"], settled=False)
