#!/usr/bin/python3
"""What waits inside of subinterpreters and between them, on every interpreter that has them (3.8 on); and threads
of threading that are being started, on all.

An own GIL there is from 3.12 on, concurrent.interpreters and InterpreterPoolExecutor from 3.14 on.
"""

import functools
import pathlib
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(HERE), str(TESTS / "live"), str(TESTS / "interpreters"), str(TESTS / "support")]
import interpreters  # noqa: E402
import program  # noqa: E402
import thread_states_test  # noqa: E402

# A thread that wants the GIL wakes each 5 ms, one that looks into a queue each 10 ms: they may be met then.
LOOKS = 20


def since(minor, what):
    found = interpreters.asked_for(interpreters.for_scenarios(interpreters.find_interpreters()))
    chosen = [each for each in found if interpreters.minor_of(each["version"]) >= minor]
    left_out = [each["name"] for each in found if each not in chosen]
    if left_out:
        print(f"{what}: not on {', '.join(left_out)}, which are older than {minor[0]}.{minor[1]}")
    return chosen


class Moving(thread_states_test.Target):
    """One whose threads never rest all at once."""

    def settle(self):
        pass


class Subinterpreters(unittest.TestCase):
    def target(self, each, script, *arguments, kind=thread_states_test.Target):
        return kind([*each["command"], str(HERE / script), *arguments])

    def look_until(self, target, problem_of):
        """The first process of up to LOOKS dumps that has no problem."""
        for _ in range(LOOKS):
            process = target.dump(self)
            problem = problem_of(process)
            if not problem:
                return process
            time.sleep(0.01)
        return self.fail(f"{problem} in each of {LOOKS} looks")

    def state(self, process, tid):
        """The state of an OS thread that runs, and not one suspended below it."""
        (found,) = [each for each in process["threads"] if each["tid"] == tid and not each["suspended"]]
        return found

    def resource(self, process, thread):
        return next((each for each in process["resources"] if thread["wait"] and each["id"] == thread["wait"]["resource"]), None)

    def check_lock(self, target):
        truth = target.truth["inner"]
        process = target.dump(self)
        self.assertEqual(len(process["interpreters"]), 2)
        waiter, owner = self.state(process, truth["waiter"]), self.state(process, truth["owner"])
        self.assertEqual([each["name"] for each in (waiter, owner)], ["wants", "has"])
        self.assertNotEqual(waiter["interpreter"], 0)
        self.assertEqual(waiter["interpreter"], owner["interpreter"])
        self.assertEqual((waiter["wait"]["kind"], waiter["status"]), ("lock", "blocked"))
        lock = self.resource(process, waiter)
        self.assertEqual((int(lock["address"], 16), lock["name"]), (truth["lock"], "__main__.lock"))
        self.assertEqual((lock["owner"]["tid"], lock["owner"]["certainty"]), (truth["owner"], "certain"))
        self.assertEqual([hold["resource"] for hold in owner["holds"]], [lock["id"]])
        self.assertEqual(process["verdict"], "stalled", process["summary"])  # the owner reads on the outside
        # Whoever entered the subinterpreter reads in it, and its state of the main one is suspended.
        both = [each for each in process["threads"] if each["tid"] == truth["teller"]]
        self.assertEqual(sorted((each["interpreter"] == 0, each["suspended"]) for each in both), [(False, False), (True, True)])

    def check_deadlock(self, target):
        truth = target.truth["inner"]
        process = target.dump(self)
        self.assertEqual(process["verdict"], "deadlock", process["summary"])
        for tid in truth["tids"]:
            thread = self.state(process, tid)
            lock = self.resource(process, thread)
            self.assertIn(int(lock["address"], 16), truth["locks"])
            self.assertEqual(lock["owner"]["tid"], sum(truth["tids"]) - tid)
            self.assertNotEqual(thread["interpreter"], 0)

    def check_contention(self, target):
        def problem_of(process):
            truth = [target.truth["main"], target.truth["inner"]]
            if process["interpreters"][0]["gil"] is None:
                return "" if all(each["gil"] is None for each in process["interpreters"]) else "only one has no GIL"
            found = sorted(process["interpreters"], key=lambda each: not each["main"])
            told = [(each["gil"]["locked"], each["gil"]["holder"], each["gil"]["waiters"]) for each in found]
            expected = [(True, each["holder"], [each["waiter"]]) for each in truth]
            if told != expected:
                return f"GILs {told}, {expected} expected"
            for of, index in zip(truth, (0, 1)):
                waiter, holder = self.state(process, of["waiter"]), self.state(process, of["holder"])
                if [each["interpreter"] for each in (waiter, holder)] != [found[index]["id"]] * 2:
                    return "in another interpreter"
                if (waiter["gil"], holder["gil"], waiter["wait"]["kind"]) != ("waits", "holds", "gil"):
                    return f"{waiter['gil']} and {holder['gil']}"
                if self.resource(process, waiter)["owner"]["tid"] != of["holder"]:
                    return "the GIL is another's"
            return "" if process["verdict"] in ("running", "stalled") else process["verdict"]

        self.look_until(target, problem_of)

    def check_native(self, target):
        process = target.dump(self)
        tids = target.truth["tids"]
        for tid in tids:
            thread = self.state(process, tid)
            self.assertEqual(thread["wait"]["kind"], "native-mutex")
            mutex = self.resource(process, thread)
            self.assertIn(int(mutex["address"], 16), target.truth["mutexes"])
            self.assertEqual(mutex["owner"]["tid"], sum(tids) - tid)
        self.assertEqual(len({self.state(process, tid)["interpreter"] for tid in tids} - {0}), 2)
        self.assertEqual(process["verdict"], "deadlock", process["summary"])

    def check_pool(self, target):
        process = target.dump(self)
        waiter = self.state(process, target.truth["waiter"])
        self.assertEqual((waiter["wait"]["kind"], waiter["status"]), ("future", "blocked"))
        workers = [self.state(process, tid) for tid in target.truth["workers"]]
        self.assertEqual(sorted((each["status"], each["wait"]["kind"], each["interpreter"] == 0) for each in workers),
                         [("idle", "idle", True), ("waiting", "read", False)])
        self.assertEqual(process["verdict"], "waiting", process["summary"])

    def check_queue(self, target):
        expected = {"gets": "queue-get", "gets_for_long": "queue-get", "puts": "queue-put"}

        def problem_of(process):
            for name, kind in expected.items():
                thread = self.state(process, target.truth[name])
                if not thread["wait"] or thread["wait"]["kind"] != kind:
                    return f"{name} waits in {thread['wait'] and thread['wait']['kind']}, {kind} expected"
                if thread["wait"]["timeout"] is not None or thread["wait"]["ends_in_ms"] is not None:
                    return f"{name} waits for a time: that of one turn of its loop"
                if (thread["interpreter"] == 0) != (name != "puts"):
                    return f"{name} is in interpreter {thread['interpreter']}"
            return "" if process["verdict"] == "waiting" else process["summary"]

        self.look_until(target, problem_of)

    def check_starting(self, target):
        process = target.dump(self)
        names = {name: self.state(process, tid)["name"] for name, tid in target.truth.items()}
        # Before its ident is told nothing but its own frames says whose it is.
        self.assertEqual(names, {**{name: name for name in target.truth}, "untold": None})
        for name in ("starts told", "starts untold"):
            starter = self.state(process, target.truth[name])
            self.assertEqual((starter["wait"]["kind"], starter["status"]), ("event", "waiting"))
        self.assertEqual(process["verdict"], "waiting", process["summary"])


SCENARIOS = {
    "lock": ((3, 8), "waiting_inside.py", ["lock"]),
    "deadlock": ((3, 8), "waiting_inside.py", ["deadlock"]),
    "contention": ((3, 12), "waiting_inside.py", ["contention"]),
    "native": ((3, 8), "native_between.py", []),
    "pool": ((3, 14), "interpreter_pool.py", []),
    "queue": ((3, 14), "interpreter_queue.py", []),
    "starting": ((3, 6), "starting.py", []),
}
MOVING = ("contention", "queue")


def run_scenario(name, self):
    minor, script, arguments = SCENARIOS[name]
    for each in since(minor, name):
        with self.subTest(each["name"]), self.target(
            each, script, *arguments, kind=Moving if name in MOVING else thread_states_test.Target
        ) as target:
            getattr(self, "check_" + name)(target)
            print(f"{name} {each['name']}: passed", flush=True)


for scenario in SCENARIOS:
    setattr(Subinterpreters, "test_" + scenario, functools.partialmethod(lambda self, name: run_scenario(name, self), scenario))

if __name__ == "__main__":
    program.executable()
    unittest.main()
