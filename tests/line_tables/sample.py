"""Source that makes every kind of entry of CPython's line tables: compiled by the tests, never run."""

import asyncio
import contextlib


def spread_over_lines(first, second=(1,
                                     2), *rest,
                      named=None):
    value = dict(
        a=first,
        b=[
            item
            for item in second
            if item and
            item > 0
        ],
        c={key: (rest,
                 named) for key in rest},
    )
    return (value
            ["a"]
            .attribute(
                first)[
                    second:
                    named])


def backwards(items):
    for item in items: print(item); continue
    while (items
           and items[0]): items = items[1:]
    else:
        return [x for x in
                items]


def blocks(path):
    with open(path) as file, \
            contextlib.suppress(OSError):
        try:
            for line in file:
                if not line: break
                yield line
        except (ValueError,
                KeyError) as error:
            raise RuntimeError(
                "no") from error
        finally:
            file.close()
            del path


def nothing_between():



























































































































































    return 1


async def waits(queue, lock):
    async with lock:
        async for item in queue:
            await asyncio.gather(*[
                task async for task in item
            ])
    return [await one for one in
            queue]


class Owner(dict):
    """A docstring."""

    attribute: int = 1
    other = attribute + \
        attribute

    @property
    def computed(self): return self.attribute if self.other else \
        self

    @staticmethod
    @contextlib.contextmanager
    def decorated(*, ünïcödé="ü", 函数=lambda: (1,
                                              2)):
        global written
        written = ünïcödé, 函数
        yield f"{written!r:>{10}} {ünïcödé}"


def far_to_the_right():
    if True:
        if True:
            if True:
                                                                                                                                                                        return "column 160", [1, 2, {3: (4, 5)}], far_to_the_right, blocks, backwards, Owner.computed.fget, nothing_between


def without_lines(flag):
    if flag:
        pass
    else:
        pass
    assert flag, "message"
    while flag:
        if flag:
            continue
        flag = not flag
    try:
        return flag
    finally:
        flag = None
