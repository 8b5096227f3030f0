"""The interpreters that `make test-all` must have had, and those that are used where a machine has them.

By name as interpreters.py says them. The second list may be empty on a machine: pyenv's builds can't be had in time.
"""

EXPECTED = (
    "bullseye-3.9", "bullseye-3.9d", "bookworm-3.11", "bookworm-3.11d", "trixie-3.13", "trixie-3.13d", "sid-3.14",
    "sid-3.14d", "sid-3.15", "sid-3.15d", "trixie-3.13t", "musl-3.13", "static-3.13",
)  # fmt: skip
WHERE_FOUND = ("system-3.11", "pyenv-3.6", "pyenv-3.7", "pyenv-3.8", "pyenv-3.9", "pyenv-3.10", "pyenv-3.11", "pyenv-3.12", "pyenv-3.13")


def kept_name(name):
    """A pyenv folder's name without the last number of its version: 3.8.18 and 3.8.20 are one row."""
    if not name.startswith("pyenv-"):
        return name
    parts = name.split(".")
    return ".".join(parts[:2]) + parts[2].lstrip("0123456789") if len(parts) > 2 else name
