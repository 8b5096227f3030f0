"""The command line as four tell it: the parser, --help, the completions, the manual.

A surface is {command: {option's long name: (placeholder or None, fixed words)}}.
"""

import os
import re
import shlex
import subprocess
import tempfile

ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
NOBODY = str(2**31 - 2)  # a pid and a file that are none


ELSEWHERE = tempfile.TemporaryDirectory()  # an option that takes a file writes one


def run(executable, *words):
    return subprocess.run(
        [os.path.abspath(executable), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=ENVIRONMENT,
        cwd=ELSEWHERE.name,
    )


def by_parser(executable, commands, names):
    """Of all names that anybody tells, those that are not refused, and what the parser says that they need."""
    surface = {}
    for command in commands:
        options = surface[command] = {}
        for name in sorted(names):
            missing = re.search(rf"^pythreads: (\S+): 1 required (\w+) missing", run(executable, command, name).stderr)
            if missing:
                none_of = re.search(r"is none of (.*)", run(executable, command, name, "no such", NOBODY).stderr)
                options[name] = (missing[2], frozenset(none_of[1].split()) if none_of else frozenset())
            elif "not expected" not in run(executable, command, name, NOBODY).stderr:
                options[name] = (None, frozenset())
    return surface


def by_help(executable, commands):
    surface = {}
    for command in commands:
        options = surface[command] = {}
        text = run(executable, command, "--help").stdout
        for name, placeholder, told in re.findall(r"(?m)^  (?:-\w, )?(--[a-z-]+)(?: ([A-Z]+))? +(\S.*)$", text):
            words = re.match(r"(?:[a-z]+, )*[a-z]+ or [a-z]+\b", told)
            options[name] = (placeholder or None, frozenset(re.split(", | or ", words[0]) if words else ()))
    return surface


def by_completion(executable, commands):
    """Completions have no placeholders; that something is needed is known by what is offered behind it."""
    surface = {}
    for command in commands:
        options = surface[command] = {}
        lines = run(executable, "__complete", command, "--").stdout.splitlines()
        names = [line.split("\t")[0] for line in lines]
        for name in names:
            is_value = "--json\t" not in run(executable, "__complete", command, name, "--json").stdout
            is_value = is_value and name != "--json" and "--json" in names  # without it there is nothing to tell by
            words = run(executable, "__complete", command, name, "").stdout.split() if is_value else ()
            options[name] = (is_value or None, frozenset(words) - {":files"})
    return surface


def plain(line):
    """A line of the manual's source as it reads."""
    text = re.sub(r"^\.[A-Z]+ ", "", line)
    text = re.sub(r"\\f[A-Z]|\"", "", text).replace("\\-", "-").replace("\\~", " ").replace("\\ ", " ")
    return re.sub(" +(,?)", lambda found: "," if found[1] else " ", text)


def bold(lines):
    """The words in bold, from the requests .B and .BR."""
    words = []
    for line in lines:
        request, _, rest = line.partition(" ")
        arguments = shlex.split(rest.replace("\\", "")) if request in (".B", ".BR") else []
        words += arguments if request == ".B" else arguments[::2]
    return {word for word in words if re.fullmatch("[a-z]+", word)}


def section(page, name):
    found = re.search(rf"(?ms)^\.SH {name}\n(.*?)(?=^\.SH |\Z)", page)
    return found[1] if found else ""


def by_manual(page, commands):
    """The synopsis says which command takes what; the options' own paragraphs, what they need."""
    long, told = {}, {}
    for paragraph in re.split(r"(?m)^\.TP\n", section(page, "OPTIONS"))[1:]:
        head, *lines = paragraph.splitlines()
        name = re.search(r"(?:(-\w)(?: [A-Z]+)?, )?(--[a-z-]+)(?: ([A-Z]+))?$", plain(head))
        if not name:
            continue
        long[name[1]] = name[2]
        words = bold(lines) - set(commands) if name[3] else ()
        told[name[2]] = (name[3], frozenset(words))
    surface = {command: {} for command in commands}
    for block in section(page, "SYNOPSIS").split(".SY ")[1:]:
        command = plain(block.splitlines()[0]).split()[1:]
        for line in block.splitlines():
            if line.startswith(".OP") and command:
                name, *placeholder = plain(line).split()
                name = long.get(name, name)
                need, words = told.get(name, ("no paragraph of its own", frozenset()))
                need = need if [need or ""] == (placeholder or [""]) else f"{need}, but {placeholder} in the synopsis"
                surface.setdefault(command[0], {})[name] = (need, words)
    return surface


def disagreements(parser, told, name):
    """What `told` says otherwise than the parser. What has no placeholder says True; words that are told for all commands
    together (the manual) may be more than one command's."""
    found = []
    for command in sorted(set(parser) | set(told)):
        ours, theirs = parser.get(command, {}), told.get(command, {})
        for option in sorted(set(ours) | set(theirs)):
            if option not in theirs or option not in ours:
                found.append(f"{command} {option}: {'not told' if option in ours else 'told, and refused'} by {name}")
                continue
            (need, words), (said, listed) = ours[option], theirs[option]
            if said is not True and said != need or said is True and need is None:
                found.append(f"{command} {option}: takes {need}, {name} says {said}")
            everywhere = set().union(*(each.get(option, (None, ()))[1] for each in parser.values()))
            if listed != words and not (name == "the manual" and listed == everywhere):
                found.append(f"{command} {option}: {sorted(words)}, {name} says {sorted(listed)}")
    return found
