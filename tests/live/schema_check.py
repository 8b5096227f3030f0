"""Documents against the installed JSON Schema, in its strict form: no unknown field, no unknown word."""

import functools
import json
import pathlib
import sys

import jsonschema

TESTS = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = TESTS.parent / "man" / "pythreads.schema.json"


@functools.lru_cache(maxsize=None)
def validators():
    sys.path.insert(0, str(TESTS / "golden"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    try:
        import strict_schema
        strict = strict_schema.strict(schema)
    except ImportError:
        strict = schema
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return [kind(schema), kind(strict)]


def problems(document):
    found = []
    for validator, name in zip(validators(), ("schema", "strict schema")):
        errors = sorted(validator.iter_errors(document), key=lambda each: list(map(str, each.absolute_path)))
        found += [f"{name}: {'/'.join(map(str, each.absolute_path))}: {each.message[:300]}" for each in errors[:5]]
    return found
