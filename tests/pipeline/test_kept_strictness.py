"""A strictness that was set holds over restarts, until the configured one changes."""

import logging
from pathlib import Path

import pytest

from edge_app.pipeline.kept_strictness import KeptStrictness


def set_to(path: Path, value: float, configured: float) -> None:
    kept = KeptStrictness(path)
    kept.in_use(configured)
    kept.set(value)


def test_without_anything_set_the_configured_one_is_in_use(tmp_path: Path) -> None:
    assert KeptStrictness().in_use(0.5) == 0.5
    assert KeptStrictness(tmp_path / "strictness.json").in_use(0.3) == 0.3


def test_what_was_set_holds_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "strictness.json"
    set_to(path, 0.8, 0.5)
    assert KeptStrictness(path).in_use(0.5) == 0.8
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_configured_value_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "strictness.json"
    set_to(path, 0.8, 0.5)
    again = KeptStrictness(path)
    assert again.in_use(0.6) == 0.6
    # whichever was set last counts: it does not return with the configured value of before
    assert again.in_use(0.5) == 0.5
    assert KeptStrictness(path).in_use(0.5) == 0.5
    again.in_use(0.6)
    again.set(0.1)
    assert KeptStrictness(path).in_use(0.6) == 0.1


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"strictness": 2, "configured": 0.5}', '{"strictness": "high", "configured": 0.5}', "[" * 9999],
)
def test_a_damaged_file_counts_as_missing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "strictness.json"
    path.write_text(content, encoding="ascii")
    kept = KeptStrictness(path)
    assert kept.in_use(0.5) == 0.5
    kept.set(0.7)
    assert KeptStrictness(path).in_use(0.5) == 0.7


def test_where_it_cannot_be_written_it_holds_until_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptStrictness(tmp_path / "nowhere" / "strictness.json")
    with caplog.at_level(logging.WARNING):
        kept.in_use(0.5)
        kept.set(0.7)
    assert kept.in_use(0.5) == 0.7
    assert "strictness.json" in caplog.text
