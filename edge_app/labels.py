"""Names of classes."""

from collections.abc import Iterable

from edge_app.errors import InputError, UnknownLabel
from edge_app.text import composed

MAX_LENGTH = 100
"""Characters of a class's name."""


def check_label(label: str) -> str:
    """Return `label` in Unicode's composed form, so that one name typed on two systems is one class.

    Raises InputError for an empty or too long name, control characters, and white space at either end.
    """
    if not isinstance(label, str):
        raise InputError(f"class name {label!r} is {type(label).__name__}, expected text")
    name = composed(label)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise InputError(f"class name {name[:20]!r} has {len(name)} characters, expected 1..{MAX_LENGTH}")
    if name != name.strip() or not name.isprintable():
        raise InputError(f"class name {name!r} has control characters, or white space at an end: leave them out")
    return name


def check_new_label(label: str) -> str:
    """Return the name for a class that does not exist yet, as `check_label` does.

    Raises InputError also for "." and "..", which web addresses take for folders.
    """
    name = check_label(label)
    if name in (".", ".."):
        raise InputError(f"class name {name!r} means a folder in web addresses: use another name")
    return name


def unknown_label(label: str, known: Iterable[str]) -> UnknownLabel:
    """Return the error for a class that does not exist, in the same words wherever a class is looked up."""
    return UnknownLabel(f"no class {label!r}; known classes: {', '.join(known) or 'none'}")
