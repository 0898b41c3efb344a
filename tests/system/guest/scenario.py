"""A scenario: what it shows, and the function that carries it out and asserts it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bench import Bench

Figures = dict[str, Any]


class Scenario(NamedTuple):
    """One thing that the virtual device must be able to do."""

    name: str
    shows: str
    carry_out: Callable[[Bench], Figures | None]
    """Returns figures for the table; raises whatever when it is not so."""
    needed: bool = False
    """Whether the others of its plan build on it."""
