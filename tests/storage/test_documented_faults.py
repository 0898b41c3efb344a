"""The table of faults in docs/state.md: each row names tests that are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
TEXT = (TESTS.parent / "docs" / "state.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.partition("## Faults")[2].partition("\n#")[0].splitlines() if line.startswith("|")][2:]


def test_the_table_has_the_faults_that_matter() -> None:
    assert len(ROWS) > 15
    for fault in ("power cut", "disk full", "read-only", "write-ahead log damaged", "removed", "database damaged"):
        assert any(fault in row.split("|")[1] for row in ROWS), fault


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_row_has_tests(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)`", row.split("|")[3])
    assert named
    for file in named:
        assert (TESTS / file).is_file(), file
