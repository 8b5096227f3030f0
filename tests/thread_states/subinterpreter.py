"""Subinterpreters under all the names that their module had: _xxsubinterpreters to 3.12, _interpreters from 3.13 on."""

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters


def create(isolated):
    """`isolated`: with a GIL of its own, where there can be one (3.12 on). Else it may start threads in any version."""
    try:
        return interpreters.create("isolated" if isolated else "legacy")  # 3.13 on
    except TypeError:
        pass
    try:
        return interpreters.create(isolated=isolated)  # 3.9 to 3.12
    except TypeError:
        return interpreters.create()


def run(made, source):
    (getattr(interpreters, "run_string", None) or interpreters.exec)(made, source)
