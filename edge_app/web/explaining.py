"""Says what is wrong with a value of a request: its path, the value and what was expected, in words for people.

msgspec tells types by their names in JSON Schema, and the place by a path such as `$[1].region`.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec

from edge_app.checks import SHORT

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_UNITS = {"str": "characters", "array": "entries", "object": "fields"}
_KIND = re.compile(r"Expected `(?P<kind>[^`]+)`(?:, got `[^`]+`)?")
_BOUND = re.compile(r"Expected `(?P<kind>\w+)` (?P<length>of length )?(?P<relation>>=|<=) (?P<bound>\S+)")
_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'")
_FIELD = re.compile(r"Object (?P<problem>missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)


class _Number(str):
    """A number as it is written in JSON."""


def explained(error: msgspec.ValidationError, name: str, value: Any, kind: Any) -> str:
    """Return what is wrong with the value of a field, which was to be converted to the type `kind`."""
    said, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`")
    where = f"{name}{path}"
    if found := _FIELD.fullmatch(said):
        if found["problem"] == "missing required":
            return f"{where}.{found['name']} is missing"
        known = ", ".join(sorted(_fields_in(kind)))
        return f"{where}: unknown field {found['name'][:40]!r}; known: {known}"
    value = _at(value, path)
    if found := _BOUND.fullmatch(said):
        number = f"{found['bound']} or more" if found["relation"] == ">=" else f"at most {found['bound']}"
        if not found["length"]:
            return f"{where} = {_shown(value)}, expected {_WORDS[found['kind']]} of {number}"
        return f"{where} has {len(value)} {_UNITS[found['kind']]}, expected {number}"
    if found := _KIND.fullmatch(said):
        words = " or ".join(_WORDS.get(one, one) for one in found["kind"].split(" | "))
        return f"{where} = {_shown(value)}, expected {words}"
    if found := _PATTERN.fullmatch(said):
        return f"{where} = {_shown(value)}, expected text that matches {found['pattern']}"
    if choices := _choices_in(kind):
        return f"{where} = {_shown(value)}, expected one of {', '.join(map(repr, choices))}"
    # msgspec quotes types in backquotes, which the page would show
    return f"{where} = {_shown(value)}: {said.replace('`', '')}"


def number_too_large(data: bytes) -> tuple[str, str] | None:
    """Return the path and the text of the first number in JSON that no float holds; None: none, or no JSON."""
    try:
        tree = json.loads(data, parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
        return next(((path.removeprefix("."), str(number)) for path, number in _too_large(tree, "")), None)
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _too_large(value: Any, path: str) -> Iterator[tuple[str, _Number]]:
    if isinstance(value, _Number):
        if not math.isfinite(float(value)):
            yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _too_large(one, f"{path}.{name[:40]}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _too_large(one, f"{path}[{index}]")


def _at(value: Any, path: str) -> Any:
    """Return the part of a value at a path of msgspec."""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(index)]
    return value


def _shown(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else SHORT.repr(value)


def _fields_in(kind: Any) -> Iterator[str]:
    """Yield the fields of the struct in a type, such as that of the entries of a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from (one.encode_name for one in msgspec.structs.fields(kind))
    for part in get_args(kind):
        yield from _fields_in(part)


def _choices_in(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()
