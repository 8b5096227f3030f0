"""What every lock scenario shares: threads that block, and the truth of who waits for what and who holds it.

A scenario starts threads with `thread`, says of each what it waits for (`waits`) and holds (`holds`), and calls
`tell` last. The truth is told from inside: native ids, `id()` of each object, owners. What is not said of a named
object must not be claimed by a dump: an owner or a hold that the truth does not list is a false one.
"""

import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import scene  # noqa: E402

NEVER = scene.NEVER
line = scene.line
run_loop = scene.run_loop
thread_count = 0
_waits = []
_holds = []
_names = {}
_objects = {}


def thread(target, *args, name=None, daemon=True):
    """Starts a thread and waits until it and all others rest."""
    started = scene.thread(target, *args, name=name or target.__name__, daemon=daemon)
    scene.wait_until_settled()
    return started


def rest():
    """Blocks for good, on the outside."""
    os.read(NEVER, 1)


def _tid(who):
    if who is None or isinstance(who, (int, str)):
        return who
    return who.native_id


def known(obj, name=None):
    """An object whose owners and holders the truth knows: all of them are said."""
    _objects[id(obj)] = name
    return obj


def waits(who, kind, obj=None, owner=None, least="certain", timeout=False, name=None, any_name=False):
    """`who` waits for `obj`, which `owner` has; `least` is the weakest certainty that will do. An owner of None
    must not be claimed."""
    if obj is not None and not isinstance(obj, int):
        known(obj, name)
    _waits.append(
        {
            "thread": _tid(who),
            "kind": kind,
            "object": obj if isinstance(obj, int) or obj is None else id(obj),
            "owner": _tid(owner),
            "least": least,
            "timeout": timeout,
            "name": name,
        }
    )


def holds(who, obj, least="certain", taken=None, name=None):
    """`taken` is the number of the line where it was taken, `name` how the lock's own must end."""
    known(obj, _objects.get(id(obj)))
    _holds.append({"thread": _tid(who), "object": id(obj), "least": least, "taken": taken, "name": name})


def main():
    return threading.get_native_id()


def tell(verdict, cause=None, nodes=None, behind=None, moving=(), absent=("deadlock",), looks=1, settled=True, until=None):
    """`verdict`: the one it must be, or several that may be. `cause`: the kind of the first cause; `nodes` its
    threads. `looks`: how often it is looked at (moving scenarios), and none may say what is in `absent`. `until`:
    what the calling thread waits in then, for good, where it is itself in the situation."""
    facts = {
        "waits": _waits,
        "holds": _holds,
        "objects": sorted(_objects),
        "verdicts": [verdict] if isinstance(verdict, str) else list(verdict),
        "cause": cause,
        "nodes": None if nodes is None else sorted(_tid(each) for each in nodes),
        "behind": None if behind is None else sorted(_tid(each) for each in behind),
        "absent": list(absent),
        "looks": looks,
        "moving": bool(moving),
    }
    if settled:
        scene.ready(moving=moving, locks=facts)
    else:
        scene.tell({"pid": os.getpid(), "threads": [], "tids": [], "locks": facts})
        if until:
            until()
        os.read(0, 1)
        os._exit(0)


def tell_stopped(verdicts):
    """Tells, and stops the whole process as a shell's job control does."""
    facts = {"waits": _waits, "holds": [], "objects": [], "verdicts": verdicts, "cause": None, "nodes": None,
             "behind": None, "absent": ["deadlock", "possible-deadlock"], "looks": 1}
    scene.tell({"pid": os.getpid(), "threads": [], "tids": [], "locks": facts})
    os.kill(os.getpid(), signal.SIGSTOP)


def tell_from_thread(*args, **kwargs):
    """For scenarios whose main thread is itself in the situation."""
    started = threading.Thread(target=tell, args=args, kwargs=kwargs, name="teller", daemon=True)
    started.start()
