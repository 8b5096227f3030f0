"""Subclasses: of Thread, methods inherited and overridden, super(), and of built-in types."""

import collections
import os
import threading

import scene


class Base:
    def run_it(self):
        self.step()

    def step(self):
        raise NotImplementedError


class Middle(Base):
    def step(self):
        os.read(scene.NEVER, 1)  # step


class Derived(Middle):
    def run_it(self):
        super().run_it()

    def step(self):
        return super().step()


class Worker(threading.Thread):
    def run(self):
        scene.note_thread()
        self.work()

    def work(self):
        os.read(scene.NEVER, 1)


class Number(int):
    def __add__(self, other):
        return os.read(scene.NEVER, 1)


class Missing(dict):
    def __missing__(self, key):
        return os.read(scene.NEVER, 1)


class Items(collections.UserList):
    def append(self, item):
        os.read(scene.NEVER, 1)


class Text(str):
    def __eq__(self, other):
        return os.read(scene.NEVER, 1)

    __hash__ = str.__hash__


class Named(collections.namedtuple("Named", "one two")):
    def total(self):
        return self.one + self.two


scene.thread(Derived().run_it, name="derived")
scene.thread(lambda: Number(1) + 2, name="number")
scene.thread(lambda: Missing()["key"], name="missing")
scene.thread(lambda: Items().append(1), name="items")
scene.thread(lambda: Text("a") in ["b"], name="text")
scene.thread(Named(Number(1), 2).total, name="named")
Worker(name="worker", daemon=True).start()
scene.ready(lines={"derived": ["step", scene.line("step")]})
