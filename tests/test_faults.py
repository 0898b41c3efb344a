"""The table of faults in docs/service.md: each row names tests, and each of them is there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
TEXT = (TESTS.parent / "docs" / "service.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.partition("## Faults")[2].partition("\n## ")[0].splitlines() if line.startswith("|")][2:]


def test_the_table_has_the_faults_that_matter() -> None:
    assert len(ROWS) > 15
    for fault in (
        "stalled",
        "unplugged",
        "garbage",
        "model missing",
        "line busy",
        "disk full",
        "power cut",
        "damaged",
    ):
        assert any(fault in row.split("|")[1] for row in ROWS), fault


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_row_is_a_test(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", row.split("|")[3])
    assert named
    for file, name in named:
        assert f"def {name}(" in (TESTS / file).read_text() if name else (TESTS / file).is_file(), f"{file}::{name}"
