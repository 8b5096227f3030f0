"""Whether a scenario's truth agrees with itself: frame objects against faulthandler, and against the marked lines."""

import faulthandler_text


def check(truth):
    """What is wrong, as sentences; empty if the truth can be believed."""
    problems = []
    try:
        shown, cut_threads = faulthandler_text.parse(truth["faulthandler"])
    except faulthandler_text.GrammarError as error:
        return [str(error)]
    by_ident = {each["ident"]: each for each in truth["threads"]}
    if cut_threads:
        if len(shown) != faulthandler_text.MAX_THREADS or not set(shown) <= set(by_ident):
            problems.append(f"faulthandler shows {len(shown)} threads and says there are more")
    elif set(shown) != set(by_ident):
        problems.append(f"threads differ: {sorted(set(shown) ^ set(by_ident))}")
    for ident, seen in shown.items():
        thread = by_ident.get(ident)
        if thread is None or thread["moving"]:
            continue
        ours = [
            (faulthandler_text.escaped(each["file"]), each["line"], faulthandler_text.escaped(each["function"]))
            for each in thread["frames"]
        ]
        theirs = list(seen["frames"])
        if thread["teller"]:
            # faulthandler was called by the teller itself, below the frame it rests in.
            ours = ours[1:]
            theirs = theirs[-len(ours) :] if ours else []
        if len(ours) > len(theirs) and (seen["cut"] or 2 * len(ours) > faulthandler_text.MAX_FRAMES):
            # Every frame can have an entry frame of its own that counts and is not shown.
            if len(theirs) < faulthandler_text.MAX_FRAMES // 2:
                problems.append(f"{thread['name']!r}: cut after {len(theirs)} frames")
            ours = ours[: len(theirs)]
        if ours != theirs:
            problems.append(f"{thread['name']!r}: frames {ours[:5]}…, faulthandler {theirs[:5]}…")
    problems += check_lines(truth)
    return problems


def check_lines(truth):
    """The lines that the scenario's source names must be where its threads are."""
    problems = []
    by_name = {each["name"]: each for each in truth["threads"]}
    for name, (function, line) in truth.get("lines", {}).items():
        thread = by_name.get(name)
        places = [(each["function"], each["line"]) for each in thread["frames"]] if thread else []
        if (function, line) not in places:
            problems.append(f"{name!r} is not at line {line} of {function} but at {places[:5]}")
    for name, depth in truth.get("depths", {}).items():
        found = len([each for each in by_name[name]["frames"] if each["function"] == name])
        if found != depth:
            problems.append(f"{name!r} is {found} deep and should be {depth}")
    return problems
