"""Python that C calls and that calls C: each call from C is another evaluation loop."""

import bisect
import ctypes
import functools
import json
import operator
import os
import re
import weakref
from xml.parsers import expat

import scene


def stop(*_):
    os.read(scene.NEVER, 1)  # stop
    return 0


def sorts():
    sorted([3, 2, 1], key=stop)


def compares():
    sorted([3, 2, 1], key=functools.cmp_to_key(lambda left, right: stop(left, right)))


def reduces():
    functools.reduce(lambda left, right: stop(left, right), [1, 2, 3])


def maps():
    list(map(stop, [1, 2]))


def maps_twice():
    list(map(lambda each: list(map(stop, [each])), [1, 2]))


def filters():
    list(filter(lambda each: stop(each), [1, 2]))


def substitutes():
    re.sub("b", lambda match: str(stop(match)), "abc")


def calls_from_ctypes():
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda left, right: stop(left))
    array = (ctypes.c_int * 3)(3, 2, 1)
    ctypes.CDLL(None).qsort(array, 3, ctypes.sizeof(ctypes.c_int), callback)


def parses_json():
    json.loads('{"a": [1, {"b": 2}]}', object_hook=stop)


def parses_xml():
    parser = expat.ParserCreate()
    parser.StartElementHandler = stop
    parser.Parse("<a><b/></a>", True)


def caches():
    @functools.lru_cache(maxsize=None)
    def cached(left):
        return stop() if left == 0 else cached(left - 1)

    cached(5)


def partials():
    functools.partial(functools.partial(stop, 1), 2)()


class Slots:
    def __init__(self, depth=0):
        self.depth = depth

    def __lt__(self, other):
        return stop()

    def __getattr__(self, name):
        return stop() if name == "missing" else object.__getattribute__(self, name)

    def __add__(self, other):
        return stop()

    def __hash__(self):
        return stop()

    def __getitem__(self, index):
        return stop()

    def __call__(self):
        return stop()

    def __enter__(self):
        return stop()

    def __exit__(self, *_):
        return None

    def __bool__(self):
        return bool(stop())

    def __repr__(self):
        return str(stop())

    @property
    def computed(self):
        return stop()


class Built:
    def __init__(self):
        stop()


class Made:
    def __new__(cls):
        stop()
        return object.__new__(cls)


class Meta(type):
    def __call__(cls):
        return stop()


class OfMeta(metaclass=Meta):
    pass


def compares_objects():
    bisect.insort([Slots(), Slots()], Slots())


def gets_attribute():
    return Slots().missing


def adds():
    return sum([Slots(), Slots()], Slots())


def hashes():
    return {Slots(): 1}


def iterates():
    return list(Slots())


def calls_object():
    Slots()()


def enters():
    with Slots():
        pass


def tests_truth():
    return not Slots()


def formats():
    return "%r" % [Slots()]


def computes():
    return operator.attrgetter("computed")(Slots())


def builds():
    Built()


def makes():
    Made()


def calls_class():
    OfMeta()


def weak_callback():
    target = Slots()
    kept = weakref.ref(target, stop)
    del target
    return kept


WAYS = [
    sorts,
    compares,
    reduces,
    maps,
    maps_twice,
    filters,
    substitutes,
    calls_from_ctypes,
    parses_json,
    parses_xml,
    caches,
    partials,
    compares_objects,
    gets_attribute,
    adds,
    hashes,
    iterates,
    calls_object,
    enters,
    tests_truth,
    formats,
    computes,
    builds,
    makes,
    calls_class,
    weak_callback,
]
for each in WAYS:
    scene.thread(each, name=each.__name__)
scene.ready(lines={each.__name__: ["stop", scene.line("stop")] for each in WAYS})
