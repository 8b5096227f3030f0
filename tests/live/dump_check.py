"""Whether a dump's document equals a scenario's truth. What differs is returned as sentences."""

import pathlib
import re

TABLES = pathlib.Path(__file__).resolve().parent.parent.parent / "pyframes" / "layouts"
NEWEST_MINOR = max(int(each.stem.rsplit("_", 1)[1]) for each in TABLES.glob("cpython_3_*.h"))

# Every secret of the scenarios ends so; nothing else does.
SECRET = re.compile(r"\w+-in-clear")
# What pythreads shows of longer ones; the rest is cut.
MAX_NAME = 1024
MAX_THREAD_NAME = 256


def shown(text):
    """Text as the document has it: valid UTF-8, lone surrogates as six characters."""
    if text is None:
        return None
    return "".join(f"\\u{ord(each):04X}" if 0xD800 <= ord(each) <= 0xDFFF else each for each in text)


def cut(text, limit):
    """As `shown`, of a name no longer than pythreads reads."""
    return shown(text if text is None or len(text) <= limit else text[:limit] + "…")


def holds(expected, found):
    """Whether `found` has what is expected: of an object, the fields that are named."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(name in found and holds(value, found[name]) for name, value in expected.items())
    return expected == found


def plus_one(column):
    return None if column is None else column + 1


def expected_frame(frame):
    expected = {
        "file": shown(frame["file"]),
        "line": frame["line"],
        "function": cut(frame["function"], MAX_NAME),
        # co_qualname exists from 3.11 on.
        "qualified_name": cut(
            frame["function"] if frame["qualified_name"] is None else frame["qualified_name"], MAX_NAME
        ),
        "module": shown(frame["module"]),
    }
    if frame["positions"] is None:
        expected.update(column=None, end_line=None, end_column=None)
    else:
        _, end_line, column, end_column = frame["positions"]
        expected.update(column=plus_one(column), end_line=end_line, end_column=plus_one(end_column))
    return expected


def differing(expected, found):
    return {name: (value, found.get(name)) for name, value in expected.items() if found.get(name) != value}


class Comparison:
    def __init__(self, truth, document, native, tids):
        self.truth = truth
        self.document = document
        self.native = native
        self.tids = tids
        self.problems = []
        self.process = document["processes"][0]
        self.threads = {}
        for each in self.process["threads"]:
            if each["ident"] is not None:
                self.threads.setdefault(int(each["ident"], 16), []).append(each)
        self.resources = {each["id"]: each for each in self.process["resources"]}

    def wrong(self, sentence):
        self.problems.append(sentence)

    def equal(self, what, expected, found):
        if not holds(expected, found):
            self.wrong(f"{what}: should be {expected!r}, is {found!r}")

    def check(self):
        self.check_process()
        self.check_thread_list()
        for thread in self.truth["threads"]:
            found = self.threads.get(thread["ident"])
            if not found or len(found) != 1:
                self.wrong(f"{thread['name']!r} ({thread['ident']:#x}) is in the dump {len(found or [])} times")
                continue
            self.check_thread(thread, found[0])
        self.check_gil()
        self.check_gc()
        self.check_waits()
        self.check_unread()
        return self.problems

    def check_process(self):
        self.equal("pid", self.truth["pid"], self.process["pid"])
        self.equal("errors", [], self.document["errors"])
        newer = self.truth["version"][1] > NEWEST_MINOR
        # Of a newer minor the gap says by what it was read.
        gaps = [each for each in self.process["gaps"] if not (newer and each["where"] == "python")]
        self.equal("process gaps", [], gaps)
        python = self.process["python"]
        self.equal("version", self.truth["release"], python["version"])
        self.equal("debug", self.truth["debug"], python["debug"])
        self.equal("layout", "extrapolated" if newer else "exact", python["layout"])
        self.equal("state", "running", self.process["state"])
        self.equal("stopped", True, self.document["source"]["stopped"])
        if not 0 < self.process["pause_ms"] < 10000:
            self.wrong(f"pause_ms is {self.process['pause_ms']}")

    def check_thread_list(self):
        listed = [each["tid"] for each in self.process["threads"]]
        self.equal("tids", sorted(self.tids), sorted(each for each in listed if each is not None))
        python = {int(each["ident"], 16) for each in self.process["threads"] if each["kind"] == "python"}
        self.equal("idents of Python threads", sorted(each["ident"] for each in self.truth["threads"]), sorted(python))
        self.equal(
            "native threads",
            len(self.tids) - len(self.truth["threads"]),
            sum(each["kind"] == "native" for each in self.process["threads"]),
        )
        for each in self.process["threads"]:
            self.equal(f"held of {each['tid']}", True, each["held"])

    def check_thread(self, thread, found):
        label = repr(thread["name"])
        if thread["native_id"] is not None:
            self.equal(f"{label}: tid", thread["native_id"], found["tid"])
        self.equal(f"{label}: name", cut(thread["name"], MAX_THREAD_NAME), found["name"])
        self.equal(f"{label}: daemon", thread["daemon"], found["daemon"])
        self.equal(f"{label}: main", thread["main"], found["main"])
        if not thread["moving"]:
            self.equal(f"{label}: state", "sleeping", found["state"])
        self.check_frames(label, thread, found)
        for name, value in thread["expected"].items():
            self.equal(f"{label}: {name}", value, found[name])
        depth = len(thread["frames"])
        reported = found["recursion_depth"]
        # C calls count as well, each at most thrice (call, object call, repr).
        if not thread["moving"] and (reported is None or not 0 < reported <= 4 * depth + 10):
            self.wrong(f"{label}: recursion_depth {reported} of {depth} frames")

    def check_frames(self, label, thread, found):
        python = [each for each in found["frames"] if each["kind"] == "python"]
        others = [each for each in found["frames"] if each["kind"] != "python"]
        if not self.native and others:
            self.wrong(f"{label}: has {others[0]}")
        gaps = [each["reason"] for each in others if each["kind"] == "gap"]
        if self.native and self.truth.get("jit") and self.truth["version"] < [3, 15]:
            # Its code can't be walked: what follows is not known, and that is said.
            gaps = [each for each in gaps if not each.endswith("no module holds it")]
        if gaps:
            self.wrong(f"{label}: gaps {gaps[:3]}")
        if self.native and not any(each["kind"] == "native" for each in others):
            self.wrong(f"{label}: no native frame")
        if thread["moving"]:
            outer = [each["function"] for each in thread["frames"][1:]]
            self.equal(f"{label}: outer functions", outer, [each["function"] for each in python][-len(outer) :])
            for function, line in [self.truth.get("still", {}).get(thread["name"], (None, None))]:
                if function is not None:
                    self.equal(f"{label}: place", (function, line), (python[0]["function"], python[0]["line"]))
            return
        if len(thread["frames"]) != len(python):
            names = [each["function"] for each in python]
            self.wrong(
                f"{label}: {len(thread['frames'])} frames, {len(python)} in the dump: "
                f"{[each['function'] for each in thread['frames']][:12]} != {names[:12]}"
            )
            return
        for index, (frame, other) in enumerate(zip(thread["frames"], python)):
            difference = differing(expected_frame(frame), other)
            if difference:
                self.wrong(f"{label}: frame {index}, {shown(frame['function'])[:60]!r}: {difference}")

    def check_gil(self):
        main = next(each for each in self.process["interpreters"] if each["main"])
        if self.truth["free_threaded"]:
            return self.equal("gil", None, main["gil"])
        expected = self.truth.get("gil", {"holder": None, "waiters": []})
        if main["gil"] is None:
            return self.wrong("gil is unknown")
        self.equal("gil.locked", expected["holder"] is not None, main["gil"]["locked"])
        self.equal("gil.holder", expected["holder"], main["gil"]["holder"])
        self.equal("gil.waiters", sorted(expected["waiters"]), sorted(main["gil"]["waiters"]))
        for each in self.process["threads"]:
            if each["kind"] != "python":
                continue
            word = "none"
            if each["tid"] == expected["holder"]:
                word = "holds"
            elif each["tid"] in expected["waiters"]:
                word = "waits"
            self.equal(f"gil of {each['name']!r}", word, each["gil"])
        return None

    def check_gc(self):
        main = next(each for each in self.process["interpreters"] if each["main"])
        expected = self.truth.get("gc", {"collecting": False, "thread": None})
        self.equal("gc.collecting", expected["collecting"], main["gc"]["collecting"])
        # CPython doesn't note who collects.
        if main["gc"]["thread"] is not None:
            self.equal("gc.thread", expected["thread"], main["gc"]["thread"])

    def check_waits(self):
        by_tid = {each["tid"]: each for each in self.process["threads"]}
        for wait in self.truth.get("waits", []):
            label = f"wait of {by_tid[wait['thread']]['name']!r}"
            found = by_tid[wait["thread"]]["wait"]
            if found is None:
                self.wrong(f"{label}: none found")
                continue
            self.equal(f"{label}: kind", wait["kind"], found["kind"])
            self.equal(f"{label}: timeout", wait["timeout"], found["timeout"])
            resource = self.resources.get(found["resource"])
            if resource is None:
                self.wrong(f"{label}: no resource")
                continue
            self.equal(f"{label}: address", wait["address"], int(resource["address"], 16))
            self.equal(f"{label}: locked", True, resource["locked"])
            if "owner" in wait:
                owner = resource["owner"] and resource["owner"].get("node", resource["owner"]).get("tid")
                self.equal(f"{label}: owner", wait["owner"], owner)
                self.equal(f"{label}: count", wait["count"], resource["count"])
        if "verdict" in self.truth:
            self.equal("verdict", self.truth["verdict"], self.document["findings"]["verdict"])
            self.equal("verdict of the process", self.truth["verdict"], self.process["verdict"])
        elif self.document["findings"]["verdict"] in ("deadlock", "possible-deadlock"):
            self.wrong(f"verdict {self.document['findings']['verdict']}: {self.document['findings']['summary']}")
        if "cycle" in self.truth:
            cycles = [sorted(node["tid"] for node in cycle) for cycle in self.document["findings"]["cycles"]]
            self.equal("cycles", [sorted(self.truth["cycle"])], cycles)

    def check_unread(self):
        def look(value, path):
            if isinstance(value, dict):
                # Whether a read ends by itself is the kernel's secret: a socket's own time limit.
                if set(value.get("unread", [])) - ({"timeout"} if path.endswith(".wait") else set()):
                    self.wrong(f"unread in {path}: {value['unread']}")
                for name, each in value.items():
                    look(each, f"{path}.{name}")
            elif isinstance(value, list):
                for index, each in enumerate(value):
                    look(each, f"{path}[{index}]")

        look(self.process["threads"], "threads")
        look(self.process["interpreters"], "interpreters")
        look({"unread": self.process.get("unread", [])}, "process")


def check(truth, document, native, tids):
    if len(document["processes"]) != 1:
        return [f"{len(document['processes'])} processes, errors {document['errors']}"]
    return Comparison(truth, document, native, tids).check()


def check_locals(truth, document, text):
    """Values that the scenario names, and that no secret is in the output."""
    problems = ["a secret is shown"] if SECRET.search(text) else []
    by_name = {each["name"]: each for each in document["processes"][0]["threads"]}
    for name, values in truth["locals"].items():
        found = {}
        for frame in by_name[name]["frames"]:
            for each in frame["locals"] or []:
                found.setdefault(each["name"], each["value"])
        problems += [
            f"{name}: {local} should be {value}, is {found.get(local)}"
            for local, value in values.items()
            if found.get(local) != shown(value)
        ]
    return problems
