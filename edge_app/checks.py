"""Checks of values that come from outside: configuration, manifests, messages. Each says what it expects.

A check converts one value, or raises ValueError. `checked` and `Table` turn that into an error that names the thing,
its value and what was expected. They are plain functions and not msgspec's, whose messages name neither the value nor
its unit, and which only the page needs.
"""

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, overload

from edge_app.errors import InputError
from edge_app.labels import check_label

T = TypeVar("T")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)

SHORT = reprlib.Repr()
"""Shows a value in a message, a large one in part."""
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 80


@dataclass(frozen=True, slots=True)
class Check(Generic[T_co]):
    """A check of one value."""

    expected: str
    """In a message: "a whole number from 1 to 64"."""
    convert: Callable[[Any], T_co]
    """Returns the value as it is kept; raises ValueError, with a text where `expected` does not say it all."""
    limits: str = ""
    """In the documentation: "1 to 64 cores"; empty where the description says it."""


def checked(name: str, value: Any, check: Check[T], *, shown: Callable[[Any], str] = SHORT.repr) -> T:
    """Return the value of the thing called `name`, converted. Raises InputError."""
    try:
        return check.convert(value)
    except ValueError as error:
        detail = f" ({error})" if str(error) else ""
        raise InputError(f"{name} = {shown(value)}, expected {check.expected}{detail}") from error


MISSING: Final = object()
"""In place of a default: the value must be there."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table from outside."""

    values: Any
    where: str = ""
    """Stands before the key in a message."""

    @overload
    def read(self, key: str, check: Check[T]) -> T: ...
    @overload
    def read(self, key: str, check: Check[T], default: D) -> T | D: ...
    def read(self, key: str, check: Check[T], default: object = MISSING) -> object:
        """Return the value of a key ("a.b": b in the table a), converted; the default where it is missing.

        Raises InputError.
        """
        value = self.values
        for part in key.split("."):
            # a part that is no table has no such key: reported as missing
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return checked(f"{self.where}{key}", value, check)
        if default is MISSING:
            raise InputError(f"{self.where}{key} is missing, expected {check.expected}")
        return default


def number(low: float, high: float, unit: str = "", *, above: bool = False, zero: str = "") -> Check[float]:
    """Accept a number in a range, without its lower end if `above`; with `zero`, which says what it means, 0 too."""

    def convert(value: Any) -> float:
        # bool is an int in Python: true is no number in TOML or JSON
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError
        if not (low <= value <= high and not (above and value == low)) and not (zero and value == 0):
            raise ValueError
        return float(value)

    limits = f"above {low:g}, at most {high:g}" if above else f"{low:g} to {high:g}"
    limits = f"{limits} {unit}".rstrip()
    expected = f"a number {limits}" if above else f"a number from {limits}"
    if zero:
        return Check(f"{expected}, or 0 ({zero})", convert, f"{limits}; 0: {zero}")
    return Check(expected, convert, limits)


def whole(low: int, high: int, unit: str = "") -> Check[int]:
    """Accept a whole number in a range."""

    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    limits = f"{low} to {high} {unit}".rstrip()
    return Check(f"a whole number from {limits}", convert, limits)


def one_of(*choices: T, unit: str = "") -> Check[T]:
    """Accept one of a few values."""

    def convert(value: Any) -> T:
        if isinstance(value, bool) or value not in choices:
            raise ValueError
        # the choice, not the value: 1.0 equals 1
        return choices[choices.index(value)]

    named = ", ".join(repr(choice) for choice in choices)
    return Check(f"one of {named}", convert, f"{named} {unit}".rstrip().replace("'", '"'))


def text(longest: int | None = None, *, least: int = 0, printable: bool = False) -> Check[str]:
    """Accept text of a bounded number of characters."""
    kind = "printable characters" if printable else "characters"

    def convert(value: Any) -> str:
        if not isinstance(value, str) or len(value) < least or (longest is not None and len(value) > longest):
            raise ValueError
        if printable and not value.isprintable():
            raise ValueError
        return value

    return Check("text in quotes" if longest is None else f"text of {least} to {longest} {kind}", convert)


def matching(pattern: str, expected: str) -> Check[str]:
    """Accept text that a regular expression matches whole."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return Check(expected, convert)


def list_of(item: Check[T], expected: str, least: int = 0, most: int | None = None) -> Check[tuple[T, ...]]:
    """Accept a list of a bounded length, each item of which passes a check."""

    def convert(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list | tuple) or len(value) < least or (most is not None and len(value) > most):
            raise ValueError
        return tuple(checked(f"[{index}]", one, item) for index, one in enumerate(value))

    return Check(expected, convert)


def table_of(item: Check[T], expected: str = "a table") -> Check[Mapping[str, T]]:
    """Accept a table with text for keys, each value of which passes a check; what is returned cannot be changed."""

    def convert(value: Any) -> Mapping[str, T]:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ValueError
        return MappingProxyType({name: checked(name, one, item) for name, one in value.items()})

    return Check(expected, convert)


def _anything(value: Any) -> Any:
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


ANYTHING = Check("a value", _anything)
FLAG = Check("true or false", _flag)
LABEL = Check("the name of a class", check_label)
TABLE = table_of(ANYTHING)
NAME = text(None, least=1)
SHA256 = matching("[0-9a-f]{64}", "64 lower-case hexadecimal digits")
