"""The six cells of `reach_test.py`: what is wrong with each, as sentences, against a target's truth."""

import re

import dump_check

CELLS = ("Python stacks", "native stacks", "GIL", "names", "locals", "locks")
MAIN_ENDS = {"_start", "_start_c", "__libc_start_main"}
THREAD_ENDS = {"clone", "__clone", "clone3", "__clone3", "start_thread", "start", "thread_start"}
LIBC = re.compile(r"/(libc[.-]|libpthread[.-]|ld-musl|libc\.musl)")
OF_THE_INTERPRETER = re.compile(r"^_?Py|^pythread_wrapper|^thread_run|^t_bootstrap|^bootstate|^os_read")
# musl's C files have no unwind tables: a walk that has reached the function that musl started has reached the end.
NO_TABLES = re.compile(r"no unwind table|has no unwind tables")
# The walk ends in its code, or passes it and meets fewer activations of the evaluation loop than there are runs of frames.
JIT = re.compile(r"JIT|made at run time|no module holds it|activations of the evaluation loop were recognised")


def remapped(truth, by_inner):
    """The truth with the host's thread ids in the place of a pid namespace's."""

    def outer(tid):
        return by_inner.get(tid, tid)

    changed = dict(truth, pid=outer(truth["pid"]), tids=[outer(each) for each in truth["tids"]])
    changed["threads"] = [dict(each, native_id=outer(each["native_id"])) for each in truth["threads"]]
    gil = truth["gil"]
    changed["gil"] = {"holder": outer(gil["holder"]), "waiters": [outer(each) for each in gil["waiters"]]}
    changed["reach"] = [dict(each, thread=outer(each["thread"]), owner=outer(each["owner"])) for each in truth["reach"]]
    changed["deadlocked"] = [outer(each) for each in truth["deadlocked"]]
    return changed


class Cells:
    def __init__(self, truth, tids, plain, native, with_locals):
        self.truth = truth
        self.tids = tids
        self.plain = plain
        self.native = native
        self.with_locals = with_locals

    def all(self):
        return {
            "Python stacks": self.stacks(),
            "native stacks": self.native_stacks(),
            "GIL": self.gil(),
            "names": self.names(),
            "locals": self.locals(),
            "locks": self.locks(),
        }

    def comparison(self, document=None):
        return dump_check.Comparison(self.truth, document or self.plain, False, self.tids)

    def pairs(self, compared):
        for thread in self.truth["threads"]:
            found = compared.threads.get(thread["ident"], [])
            if len(found) == 1:
                yield thread, found[0]
            else:
                compared.wrong(f"{thread['name']!r} is in the dump {len(found)} times")

    def stacks(self):
        compared = self.comparison()
        compared.check_process()
        compared.check_thread_list()
        for thread, found in self.pairs(compared):
            compared.check_frames(repr(thread["name"]), thread, found)
        return compared.problems

    def gil(self):
        compared = self.comparison()
        compared.check_gil()
        return compared.problems

    def names(self):
        compared = self.comparison()
        for thread, found in self.pairs(compared):
            compared.equal(f"name of {thread['native_id']}", thread["name"], found["name"])
            compared.equal(f"{thread['name']!r}: tid", thread["native_id"], found["tid"])
            compared.equal(f"{thread['name']!r}: main", thread["main"], found["main"])
        return compared.problems

    def locals(self):
        return dump_check.check_locals(self.truth, self.with_locals, "")

    def locks(self):
        compared = self.comparison()
        by_tid = {each["tid"]: each for each in compared.process["threads"]}
        for wait in self.truth["reach"]:
            label = f"wait for {wait['name']}"
            found = by_tid[wait["thread"]]["wait"] if wait["thread"] in by_tid else None
            resource = compared.resources.get(found["resource"]) if found else None
            if resource is None:
                compared.wrong(f"{label}: not found ({found})")
                continue
            compared.equal(f"{label}: kind", wait["kind"], found["kind"])
            compared.equal(f"{label}: address", wait["address"], int(resource["address"], 16))
            compared.equal(f"{label}: owner", wait["owner"], (resource["owner"] or {}).get("tid"))
            if not (resource["name"] or "").endswith(wait["name"]):
                compared.wrong(f"{label}: it is called {resource['name']}")
        compared.equal("verdict", "deadlock", compared.process["verdict"])
        cycles = [sorted(node["tid"] for node in cycle) for cycle in self.plain["findings"]["cycles"]]
        compared.equal("cycles", [sorted(self.truth["deadlocked"])], cycles)
        return compared.problems

    def native_stacks(self):
        problems = []
        named = 0
        compared = self.comparison(self.native)
        for thread, found in self.pairs(compared):
            label = repr(thread["name"])
            plain = sum(each["kind"] == "python" for each in found["frames"])
            if plain != len(thread["frames"]) and not thread["moving"]:
                problems.append(f"{label}: {plain} Python frames, {len(thread['frames'])} expected")
            problems += [f"{label}: {each}" for each in self.native_stack(thread, found)]
            names = [each["function"] for each in found["frames"] if each["kind"] == "native" and each["function"]]
            if any(OF_THE_INTERPRETER.search(each) for each in names):
                named += 1
            elif self.truth.get("symbols"):
                problems.append(f"{label}: no function of the interpreter by name: {names}")
        # .dynsym alone names what is exported: that is on some of the stacks.
        if not named and not self.truth.get("nameless"):
            problems.append("no function of the interpreter by name in any thread")
        return problems + compared.problems

    def native_stack(self, thread, found):
        frames = found["frames"]
        native = [each for each in frames if each["kind"] == "native"]
        if not native:
            return [f"no native frame: {[each['reason'] for each in frames if each['kind'] == 'gap']}"]
        last, problems = native[-1], []
        musl = bool(self.truth.get("musl"))
        reasons = [each["reason"] for each in frames if each["kind"] == "gap"]
        if musl and reasons and frames[-1]["kind"] == "gap" and NO_TABLES.search(reasons[-1]):
            reasons.pop()
        if self.truth.get("jit") and any(JIT.search(each) for each in reasons):
            return []  # no walk passes code that nobody described, and this says so
        if reasons:
            problems.append(f"gaps {reasons}")
        ends = MAIN_ENDS if thread["main"] else THREAD_ENDS
        # A stripped file names nothing; then it is at least libc that called first.
        unnamed = last["function"] is None and (LIBC.search(last["module"] or "") or self.truth.get("nameless"))
        if last["function"] not in ends and not unnamed:
            problems.append(f"the outermost frame is {last['function']} of {last['module']} at {last['address']}")
        return problems
