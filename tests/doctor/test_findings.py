"""The doctor outlives what it finds."""

import sys
from collections.abc import Iterator

import pytest

from edge_app.doctor.findings import Finding, guarded, run_program
from edge_app.errors import DeviceError


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (DeviceError("v4l2:x: no such device"), "v4l2:x: no such device"),
        (ImportError("no module"), "ImportError: no module"),
        (AttributeError(), "AttributeError: "),
    ],
)
def test_what_a_check_raises_is_a_finding(error: Exception, detail: str) -> None:
    def check() -> Iterator[Finding]:
        yield Finding("a", "ok", "before")
        raise error

    first, last = guarded("part", check)
    assert first == Finding("a", "ok", "before")
    assert (last.name, last.status, last.detail) == ("part", "failed", detail)


def test_programs() -> None:
    assert run_program([sys.executable, "-c", "print(7)"]) == "7"
    assert run_program([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert run_program(["no-program-of-this-name"]) is None
    assert run_program([sys.executable, "-c", "input()"], timeout_s=0.01) is None
