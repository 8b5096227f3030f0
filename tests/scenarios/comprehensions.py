"""Comprehensions: frames of their own up to 3.11, inlined from 3.12 (PEP 709), never so for generator expressions."""

import os

import scene


def stop(_=None):
    return os.read(scene.NEVER, 1)


def in_list():
    return [stop(each) for each in range(3)]


def in_set():
    return {stop(each) for each in range(3)}


def in_dict():
    return {each: stop(each) for each in range(3)}


def in_generator():
    return list(stop(each) for each in range(3))


def in_sum():
    return sum(len(stop(each)) for each in range(3) if each >= 0)


def nested():
    return [[stop(inner) for inner in range(outer, 3)] for outer in range(3)]


def directly():
    return [
        os.read(scene.NEVER, each)
        for each in range(1, 3)
    ]


def in_condition():
    return [each for each in range(3) if stop(each)]


def captures():
    kept = scene.NEVER
    return [(lambda: os.read(kept, each + 1))() for each in range(3)]


class Holder:
    def in_method(self):
        return {key: [stop(key) for _ in range(2)] for key in "ab"}


def in_class_body():
    class Body:
        values = [stop(each) for each in range(2)]

    return Body


for each in (in_list, in_set, in_dict, in_generator, in_sum, nested, directly, in_condition, captures, in_class_body):
    scene.thread(each, name=each.__name__)
scene.thread(Holder().in_method, name="in_method")
scene.ready()
