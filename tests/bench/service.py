"""http_service.py as it runs, what watching it costs, and what its requests feel of it.

The agent: the processor time of one `pythreads check`, which a monitoring agent runs every 10 s.
The requests: those in flight while the service is held, and those in flight at random moments of the same run.
"""

import datetime
import http.client
import json
import pathlib
import random
import statistics
import threading
import time

import targets
from measured import Failed

HERE = pathlib.Path(__file__).resolve().parent
CHECK_EVERY_SECONDS = 10
CLIENTS = 4


class Service(targets.scoped_target.ScopedTarget):
    def __init__(self, interpreter, idle):
        super().__init__(interpreter, str(HERE / "http_service.py"), [str(idle)])

    def wait_until_parked(self):
        """It serves."""


def measure_agent(tools, interpreter, rounds, idle=199):
    """The share of one core that a check every 10 s takes, in percent."""
    with Service(interpreter, idle) as service:
        command = [tools.pythreads, "check", service.pid]
        tools.run(command)
        runs = [tools.run(command) for _ in range(rounds)]
    cpu_ms = statistics.median(run.cpu_ms for run in runs)
    return {
        "interpreter": interpreter["name"],
        "threads": idle + 1,
        "rounds": rounds,
        "cpu_ms": cpu_ms,
        "wall_ms": statistics.median(run.wall_ms for run in runs),
        "core_percent": cpu_ms / (CHECK_EVERY_SECONDS * 1000) * 100,
    }


class Client(threading.Thread):
    """Asks again and again over one connection; notes when each request began and ended."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.requests = []
        self.failures = []
        self.ending = threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.ending.is_set():
            began = time.time()
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200 or body["sum"] != 499500:
                    raise ValueError(f"{answer.status} {body}")
            except (OSError, http.client.HTTPException, ValueError) as failure:
                self.failures.append(repr(failure))
                connection.close()
            else:
                self.requests.append((began, time.time()))


def in_flight(requests, since, until):
    """How long those took, in ms, that were under way between two moments."""
    return [(ended - began) * 1000 for began, ended in requests if began < until and ended > since]


def measure_requests(tools, interpreter, looks, idle=20):
    held, moments = [], []
    with Service(interpreter, idle) as service:
        clients = [Client(service.truth["port"]) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(looks):
            dump = tools.dump(service.pid)
            if dump.gaps:
                raise Failed(f"a dump with a gap: {dump.gaps[0]}")
            document = json.loads(dump.run.output.read_bytes())
            at = datetime.datetime.fromisoformat(document["processes"][0]["captured_at"].replace("Z", "+00:00"))
            held.append((at.timestamp(), dump.held_ms))
            # Long enough for every request that the dump touched to be over, and for one that it did not.
            time.sleep(0.08 + random.random() * 0.02)
            moments.append(time.time())
            time.sleep(0.04 + random.random() * 0.02)
        for client in clients:
            client.ending.set()
        for client in clients:
            client.join()
    requests = [request for client in clients for request in client.requests]
    failures = [failure for client in clients for failure in client.failures]
    # captured_at is the moment when all stood, some time after the first was interrupted, some before the release.
    during = [ms for at, pause in held for ms in in_flight(requests, at - 0.001, at + pause / 1000)]
    beside = [ms for at in moments for ms in in_flight(requests, at - 0.001, at)]
    if not during or not beside:
        raise Failed("no request was in flight")
    pause = statistics.median(ms for _, ms in held)
    return {
        "interpreter": interpreter["name"],
        "looks": looks,
        "requests": len(requests),
        "failed": len(failures),
        "failure": failures[0] if failures else None,
        "during": len(during),
        "beside": len(beside),
        "pause_ms": pause,
        "during_ms": statistics.median(during),
        "beside_ms": statistics.median(beside),
        "longer_ms": statistics.median(during) - statistics.median(beside),
    }
