"""Lambdas: named by nobody, several on a line, nested, as default, with closures, in a partial."""

import functools
import os

import scene

plain = lambda: os.read(scene.NEVER, 1)  # noqa: E731
twice = lambda function: lambda: function()  # noqa: E731
two_on_a_line = (lambda: os.read(scene.NEVER, 1), lambda: os.read(scene.NEVER, 2))


def as_default(function=lambda: os.read(scene.NEVER, 1)):
    return function()


def closure(fd):
    def local():
        return (lambda: (lambda: os.read(fd, 1))())()

    return local


class Holder:
    attribute = lambda self: os.read(scene.NEVER, 1)  # noqa: E731


scene.thread(plain, name="plain")
scene.thread(twice(plain), name="twice")
scene.thread(two_on_a_line[0], name="first")
scene.thread(two_on_a_line[1], name="second")
scene.thread(as_default, name="as_default")
scene.thread(closure(scene.NEVER), name="closure")
scene.thread(Holder().attribute, name="attribute")
scene.thread(functools.partial(lambda fd, count: os.read(fd, count), scene.NEVER, 1), name="partial")
scene.ready()
