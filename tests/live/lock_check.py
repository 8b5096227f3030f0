"""A dump of a lock scenario against what the process told of itself: (facts that hold, what is wrong)."""

import re

LIBRARY_VARIABLE = re.compile(
    r"(threading|queue|concurrent|importlib|_frozen_importlib|logging|multiprocessing|subprocess|asyncio)\."
    r".*\b(self|cls|cache|lock|future|waiter|work_queue|executor_reference|fs)(\.|\[|$)(?<!Handler\.lock)"
)
ORDER = ["possible", "likely", "recorded", "inferred", "certain"]


def at_least(certainty, least):
    return ORDER.index(certainty) >= ORDER.index(least)


class Check:
    def __init__(self, truth, document):
        self.truth = truth["locks"]
        self.process = document["processes"][0]
        self.findings = document["findings"]
        self.threads = {}
        for each in self.process["threads"]:
            known = self.threads.get(each["tid"])
            if known is None or (each["wait"] and not known["wait"]):
                self.threads[each["tid"]] = each
        self.resources = {each["id"]: each for each in self.process["resources"]}
        self.right = 0
        self.missed = []
        self.false = []

    def fact(self, holds, text):
        if holds:
            self.right += 1
        else:
            self.missed.append(text)

    def waits(self):
        for wait in self.truth["waits"]:
            thread = self.threads.get(wait["thread"])
            who = f"thread {wait['thread']} ({thread['name'] if thread else 'missing'})"
            found = thread["wait"] if thread else None
            kind = found["kind"] if found else None
            self.fact(kind == wait["kind"], f"{who} waits: {wait['kind']} expected, {kind} found")
            if kind != wait["kind"]:
                continue
            if wait["timeout"] is not None:
                self.fact(found["timeout"] == wait["timeout"], f"{who}: timeout {found['timeout']}")
            resource = self.resources.get(found["resource"])
            if wait["object"] is not None:
                address = int(resource["address"], 16) if resource and resource["address"] else None
                self.fact(
                    address == wait["object"],
                    f"{who} waits for {address and hex(address)}, {hex(wait['object'])} expected",
                )
            if wait["name"]:
                name = resource and resource["name"]
                self.fact(bool(name) and name.endswith(wait["name"]), f"{who}: name {name}, {wait['name']} expected")
            self.owner(wait, who, resource)

    def owner(self, wait, who, resource):
        if wait["least"] == "any":
            return
        owner = resource["owner"] if resource else None
        if wait["owner"] is None:
            if owner and at_least(owner["certainty"], "inferred"):
                self.false.append(f"{who}: owner {owner['tid']} [{owner['certainty']}], and nobody owns it")
            else:
                self.right += 1
            return
        tid = owner["tid"] if owner else None
        if owner and tid != wait["owner"] and at_least(owner["certainty"], "inferred"):
            self.false.append(f"{who}: owner {tid} [{owner['certainty']}], {wait['owner']} expected")
        self.fact(tid == wait["owner"], f"{who}: owner {tid}, {wait['owner']} expected")
        if tid == wait["owner"]:
            self.fact(
                at_least(owner["certainty"], wait["least"]),
                f"{who}: owner {owner['certainty']} ({owner['evidence']['rule']}), {wait['least']} expected",
            )

    def holds(self):
        expected = {(each["thread"], each["object"]): each for each in self.truth["holds"]}
        found = {}
        for tid, thread in self.threads.items():
            for hold in thread["holds"]:
                address = int(self.resources[hold["resource"]]["address"], 16)
                if address not in self.truth["objects"]:
                    continue
                found[tid, address] = hold
                if (tid, address) not in expected and at_least(hold["certainty"], "inferred"):
                    self.false.append(
                        f"thread {tid} holds {hex(address)} [{hold['certainty']}, {hold['evidence']['rule']}], and does not"
                    )
        for key, each in expected.items():
            hold = found.get(key)
            self.fact(hold is not None, f"thread {key[0]}: hold of {hex(key[1])} not found")
            if hold is None:
                continue
            self.fact(
                at_least(hold["certainty"], each["least"]),
                f"thread {key[0]}: hold {hold['certainty']}, {each['least']} expected",
            )
            if each["name"]:
                name = self.resources[hold["resource"]]["name"]
                self.fact(bool(name) and name.endswith(each["name"]), f"held: name {name}, {each['name']} expected")
            if each["taken"]:
                line = hold["acquired_at"] and hold["acquired_at"]["line"]
                self.fact(line == each["taken"], f"thread {key[0]}: taken at {line}, {each['taken']} expected")

    def verdict(self):
        verdict = self.process["verdict"]
        if verdict in self.truth["absent"] and verdict not in self.truth["verdicts"]:
            self.false.append(f"verdict {verdict}: {self.process['summary']}")
        self.fact(
            verdict in self.truth["verdicts"],
            f"verdict {verdict}, {self.truth['verdicts']} expected: {self.process['summary']}",
        )
        cause = self.findings["causes"][0] if self.findings["causes"] else None
        if self.truth["cause"]:
            kind = cause and cause["kind"]
            self.fact(kind == self.truth["cause"], f"cause {kind}, {self.truth['cause']} expected")
        for what in ("nodes", "behind"):
            if self.truth[what] is None or cause is None:
                continue
            tids = sorted(each["tid"] for each in cause[what])
            self.fact(tids == self.truth[what], f"{what} of the cause: {tids}, {self.truth[what]} expected")

    def world(self):
        if not any(each["wait"] and each["wait"]["kind"] == "stop-the-world" for each in self.threads.values()):
            return
        stops = [each["stop_the_world"] for each in self.process["interpreters"]]
        self.fact(any(each and each["requested"] for each in stops), f"a thread waits for the world's stop: {stops}")

    def names(self):
        """What is in no program's source is no name."""
        for each in self.resources.values():
            if each["name"] and LIBRARY_VARIABLE.match(each["name"]):
                self.false.append(f"a library's variable is a name: {each['name']}")

    def run(self):
        self.waits()
        self.names()
        self.world()
        self.holds()
        self.verdict()
        return self


def fired(document):
    """The words of all rules that had a part in a dump."""
    words = set()
    for process in document["processes"]:
        for thread in process["threads"]:
            if thread["wait"]:
                words.add(thread["wait"]["evidence"]["rule"])
            words.update(hold["evidence"]["rule"] for hold in thread["holds"])
        for resource in process["resources"]:
            if resource["owner"]:
                words.add(resource["owner"]["evidence"]["rule"])
            words.update(each["evidence"]["rule"] for each in resource["candidates"])
    # An owner's field that a hold bears out is both rules at once.
    words.update(part for word in list(words) for part in word.split("+"))
    words.update("cause:" + each["kind"] for each in document["findings"]["causes"])
    return words
