"""Class bodies that run, also nested, with a metaclass, and what runs when a class is made."""

import os

import scene


def in_body():
    class Outer:
        class Inner:
            os.read(scene.NEVER, 1)


def in_nested_function():
    class Outer:
        def method():
            class Local:
                value = os.read(scene.NEVER, 1)

            return Local

        kept = method()


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        if name == "Prepared":
            os.read(scene.NEVER, 1)
        return {}

    def __new__(mcs, name, bases, namespace):
        if name == "Created":
            os.read(scene.NEVER, 1)
        return super().__new__(mcs, name, bases, namespace)


class Base:
    def __init_subclass__(cls, **_):
        os.read(scene.NEVER, 1)


class Descriptor:
    def __set_name__(self, owner, name):
        os.read(scene.NEVER, 1)


def prepares():
    class Prepared(metaclass=Meta):
        pass


def creates():
    class Created(metaclass=Meta):
        pass


def subclasses():
    class Derived(Base):
        pass


def names_attribute():
    class Owner:
        attribute = Descriptor()


for each in (in_body, in_nested_function, prepares, creates, subclasses, names_attribute):
    scene.thread(each, name=each.__name__)
scene.ready()
