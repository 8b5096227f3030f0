"""What a further sample costs beside the first.

In each round a run of one sample and a run of many, in turns; a further sample is the difference divided by how many more
there were. Text is printed for each, so that composing and writing are part of both. The first has what a process costs
that begins: the whole of `pythreads dump`.
"""

import statistics

import targets

MORE = 10  # samples, beside the first


def measure(tools, interpreter, rounds, sizes=(1, 100, 1000), depth=20):
    measured = []
    for threads in sizes:
        with targets.Crowd(interpreter, threads, depth, "blocked") as crowd:
            about = {"interpreter": interpreter["name"], "threads": threads, "depth": depth, "rounds": rounds}
            measured.append(about | of_target(tools, crowd.pid, rounds))
    return measured


def of_target(tools, pid, rounds):
    first, further = [], []
    tools.text_dump(pid, "--full")  # its files come into the page cache
    for _ in range(rounds):
        one = tools.text_dump(pid, "--full")
        many = tools.text_dump(pid, "--full", "--samples", str(1 + MORE), "--interval", "0s")
        first.append((one.wall_ms, one.cpu_ms))
        further.append(((many.wall_ms - one.wall_ms) / MORE, (many.cpu_ms - one.cpu_ms) / MORE))
    (first_wall, first_cpu), (wall, cpu) = ([statistics.median(column) for column in zip(*each)] for each in (first, further))
    return {"first_wall_ms": first_wall, "first_cpu_ms": first_cpu, "wall_ms": wall, "cpu_ms": cpu, "share": cpu / first_cpu}
