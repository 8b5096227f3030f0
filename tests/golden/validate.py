#!/usr/bin/env python3
"""Validates JSON documents against the installed schema and against its strict variant.

    validate.py SCHEMA FILE...      each file must be valid, strictly
    validate.py SCHEMA --self-test FILE
                                    the schemas accept FILE and refuse it once it is spoilt

The installed schema accepts fields that it does not know. The strict variant is made from it here: in every
object no other field is allowed and every field is required, for a field is never left out.
"""

import copy
import json
import sys

import jsonschema


def strict(schema):
    """The schema with nothing left open; an explicit additionalProperties stays."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: {name: strict(each) for name, each in value.items()} if key in ("properties", "$defs") else strict(value)
        for key, value in schema.items()
    }
    if "properties" in result and result.get("type") == "object":
        result.setdefault("additionalProperties", False)
        result["required"] = list(result["properties"])
    return result


def validators(schema):
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema)
    narrow = strict(schema)
    kind.check_schema(narrow)
    return kind(schema), kind(narrow)


def problems(validator, document):
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            for error in validator.iter_errors(document)]


def objects(document, path=()):
    """Every object in the document, with the way to it."""
    if isinstance(document, dict):
        yield path
        for key, value in document.items():
            yield from objects(value, path + (key,))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from objects(value, path + (index,))


def at(document, path):
    for step in path:
        document = document[step]
    return document


def self_test(schema, document):
    """Spoils one thing at a time; what the schemas then say must be what they promise."""
    wide, narrow = validators(schema)
    failures = []

    def expect(what, validator, spoilt, valid):
        if (not problems(validator, spoilt)) != valid:
            failures.append(f"{what}: expected {'valid' if valid else 'invalid'}")

    expect("the document itself", wide, document, True)
    expect("the document itself, strictly", narrow, document, True)
    for path in objects(document):
        if "detail" in path:  # its fields are open in the strict variant too
            continue
        name = "/".join(map(str, path)) or "the root"
        spoilt = copy.deepcopy(document)
        at(spoilt, path)["of_a_later_release"] = [1]
        expect(f"an unknown field in {name}", wide, spoilt, True)
        expect(f"an unknown field in {name}, strictly", narrow, spoilt, False)
        for field in at(document, path):
            spoilt = copy.deepcopy(document)
            del at(spoilt, path)[field]
            expect(f"{name} without {field}, strictly", narrow, spoilt, False)
            if field == "detail":
                continue
            spoilt = copy.deepcopy(document)
            at(spoilt, path)[field] = {"wrong": "type"}
            expect(f"{name} with a wrong {field}", wide, spoilt, False)
    for path, field, word, valid in (
            ((), "schema", "pythreads/2", False),
            (("findings",), "verdict", "perhaps", False),
            (("processes", 0, "threads", 0), "status", "stuck", False),
            (("processes", 0, "threads", 0, "wait"), "certainty", "sure", False),
            (("processes", 0, "threads", 0, "wait"), "kind", "a-new-kind", True),
            (("processes", 0), "state", "dreaming", True),
            (("processes", 0), "pid", "4711", False)):
        spoilt = copy.deepcopy(document)
        at(spoilt, path)[field] = word
        expect(f"{'/'.join(map(str, path))}/{field} = {word!r}", wide, spoilt, valid)
    return failures


def main(arguments):
    with open(arguments[0], encoding="utf-8") as file:
        schema = json.load(file)
    testing = arguments[1] == "--self-test"
    paths = arguments[2:] if testing else arguments[1:]
    if not paths:
        print("no documents to validate")
        return 1
    failed = False
    _, narrow = validators(schema)
    for path in paths:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        found = self_test(schema, document) if testing else problems(narrow, document)
        for problem in found[:20]:
            print(f"{path}: {problem}")
        failed = failed or bool(found)
    if not failed:
        print(f"{len(paths)} valid")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
