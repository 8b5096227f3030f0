"""Documents against the installed JSON Schema and its strict variant (golden/validate.py)."""

import functools
import importlib.util
import json
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = TESTS.parent / "man" / "pythreads.schema.json"


@functools.lru_cache(maxsize=None)
def validate():
    spec = importlib.util.spec_from_file_location("validate", TESTS / "golden" / "validate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(maxsize=None)
def validators():
    return validate().validators(json.loads(SCHEMA.read_text(encoding="utf-8")))


def problems(document):
    """What is wrong, as sentences; the first few."""
    found = []
    for validator, name in zip(validators(), ("schema", "strict schema")):
        found += [f"{name}: {each}" for each in validate().problems(validator, document)[:5]]
    return found
