"""Checks of values from outside: converted, or refused with the thing, its value and what was expected."""

import math
from typing import Any

import pytest

from edge_app import checks
from edge_app.checks import Check
from edge_app.errors import InputError


@pytest.mark.parametrize(
    ("check", "value", "kept"),
    [
        (checks.number(1, 10), 3, 3.0),
        (checks.number(1, 10, zero="off"), 0, 0.0),
        (checks.number(0, 10, above=True), 0.5, 0.5),
        (checks.whole(1, 10), 10, 10),
        (checks.one_of(0, 90), 90.0, 90),
        (checks.one_of("a", "b"), "b", "b"),
        (checks.FLAG, True, True),
        (checks.text(3), "abc", "abc"),
        (checks.LABEL, "Cafe\u0301", "Caf\u00e9"),
        (checks.SHA256, "0a" * 32, "0a" * 32),
        (checks.list_of(checks.whole(0, 9), "digits", 1, 2), [1, 2], (1, 2)),
        (checks.table_of(checks.whole(0, 9)), {"a": 1}, {"a": 1}),
    ],
)
def test_what_is_right_is_converted(check: Check[Any], value: object, kept: object) -> None:
    found = checks.checked("it", value, check)
    assert found == kept
    assert type(found) is type(kept) or isinstance(kept, dict)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (checks.number(1, 10, "s"), math.nan, "it = nan, expected a number from 1 to 10 s"),
        (checks.number(1, 10), 10**400, "it = 1000000000"),
        (checks.number(1, 10), True, "it = True, expected a number from 1 to 10"),
        (checks.number(1, 10, zero="off"), 0.5, "it = 0.5, expected a number from 1 to 10, or 0 (off)"),
        (checks.number(0, 10, above=True), 0, "it = 0, expected a number above 0, at most 10"),
        (checks.whole(1, 10), 1.0, "it = 1.0, expected a whole number from 1 to 10"),
        (checks.whole(1, 10), False, "it = False, expected a whole number from 1 to 10"),
        (checks.one_of(0, 90), False, "it = False, expected one of 0, 90"),
        (checks.one_of("a", "b"), ["a"], "it = ['a'], expected one of 'a', 'b'"),
        (checks.FLAG, 1, "it = 1, expected true or false"),
        (checks.text(3, least=1), "", "it = '', expected text of 1 to 3 characters"),
        (checks.LABEL, " x", "it = ' x', expected the name of a class (class name ' x' has control characters, "),
        (checks.SHA256, "0A" * 32, f"it = '{'0A' * 32}', expected 64 lower-case hexadecimal digits"),
        (checks.list_of(checks.whole(0, 9), "digits", 1, 2), [1, 2, 3], "it = [1, 2, 3], expected digits"),
        (checks.list_of(checks.whole(0, 9), "digits"), "12", "it = '12', expected digits"),
        (checks.table_of(checks.whole(0, 9)), {"a": "b"}, "it = {'a': 'b'}, expected a table"),
    ],
)
def test_what_is_wrong_is_refused_with_its_value(check: Check[Any], value: object, message: str) -> None:
    with pytest.raises(InputError) as refused:
        checks.checked("it", value, check)
    assert str(refused.value).startswith(message)


def test_a_value_in_a_table_is_found_by_its_path() -> None:
    table = checks.Table({"input": {"size": 224}}, "m.toml: ")
    assert table.read("input.size", checks.whole(8, 4096)) == 224
    assert table.read("input.depth", checks.whole(1, 3), 3) == 3
    with pytest.raises(InputError, match=r"^m\.toml: input\.depth is missing, expected a whole number from 1 to 3$"):
        table.read("input.depth", checks.whole(1, 3))
    with pytest.raises(InputError, match=r"^m\.toml: input\.size = 224, expected a whole number from 1 to 3$"):
        table.read("input.size", checks.whole(1, 3))
    with pytest.raises(InputError, match="size is missing"):
        checks.Table([{"size": 1}]).read("size", checks.whole(1, 3))
