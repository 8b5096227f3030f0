"""Runs inside gdb: answers where fields lie, from the DWARF of the file that gdb has open.

The request (a JSON file named by LAYOUT_REQUEST) is {"structs": {key: [type names]}, "fields": {key: [paths]},
"constants": [enumerators]}. The answer goes to LAYOUT_ANSWER: {"structs": {key: {"size", "fields": {path: {"offset",
"size", "type", "shift", "bits"}}}}, "constants": {name: value}}. What the file does not have is left out.
"""

import json
import os

import gdb  # pylint: disable=import-error

AGGREGATES = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)


def complete(names):
    """The first of the named types that the file defines and not only declares."""
    for name in names:
        try:
            found = gdb.lookup_type(name).strip_typedefs()
        except gdb.error:
            continue
        if found.code in AGGREGATES and found.sizeof and found.fields():
            return found
    return None


def member(struct, name):
    """(field, bits before it) of a member, also of one in an anonymous struct or union."""
    for field in struct.fields():
        if field.name == name:
            return field, field.bitpos
        if not field.name and field.type.strip_typedefs().code in AGGREGATES:
            found = member(field.type.strip_typedefs(), name)
            if found:
                return found[0], field.bitpos + found[1]
    return None


def place(struct, path):
    bits = 0
    field = None
    for name in path.split("."):
        if struct.code not in AGGREGATES:
            return None
        found = member(struct, name)
        if found is None:
            return None
        field, before = found
        bits += before
        struct = field.type.strip_typedefs()
    element = struct
    while element.code == gdb.TYPE_CODE_ARRAY:
        element = element.target().strip_typedefs()
    answer = {"offset": bits // 8, "size": element.sizeof, "type": str(field.type)}
    answer["aggregate"] = element.code in AGGREGATES
    if field.bitsize:
        answer.update(offset=bits // 32 * 4, shift=bits % 32, bits=field.bitsize)
    return answer


def main():
    with open(os.environ["LAYOUT_REQUEST"], encoding="utf-8") as file:
        request = json.load(file)
    structs = {}
    for key, names in request["structs"].items():
        struct = complete(names)
        if struct is None:
            continue
        places = {path: place(struct, path) for path in request["fields"][key]}
        structs[key] = {"size": struct.sizeof, "fields": {path: at for path, at in places.items() if at}}
    constants = {}
    for name in request["constants"]:
        try:
            constants[name] = int(gdb.parse_and_eval(name))
        except gdb.error:
            pass
    with open(os.environ["LAYOUT_ANSWER"], "w", encoding="utf-8") as file:
        json.dump({"structs": structs, "constants": constants}, file)


main()
