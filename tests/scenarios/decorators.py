"""Decorators: wrapped functions, class and static methods, properties, a decorator that itself blocks."""

import functools
import os

import scene


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def repeated(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return [function(*args) for _ in range(times)]

        return wrapper

    return decorate


@logged
@repeated(2)
@logged
def stop():
    os.read(scene.NEVER, 1)


class Holder:
    @staticmethod
    @logged
    def static():
        stop()

    @classmethod
    def of_class(cls):
        cls.static()

    @property
    @logged
    def computed(self):
        return self.of_class()

    @functools.singledispatch
    def dispatched(self):
        return self.computed


def blocking(function):
    os.read(scene.NEVER, 1)
    return function


def decorates():
    @logged
    @blocking
    @repeated(
        3,
    )
    def never():
        pass


scene.thread(stop, name="stop")
scene.thread(Holder.static, name="static")
scene.thread(Holder.of_class, name="of_class")
scene.thread(lambda: Holder().computed, name="computed")
scene.thread(lambda: Holder.dispatched(Holder()), name="dispatched")
scene.thread(decorates, name="decorates")
scene.ready()
