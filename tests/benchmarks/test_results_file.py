import json
from pathlib import Path

import pytest

from benchmarks.accuracy.results_file import ResultsFile, rounded


def test_measures_once_and_again_when_made_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    calls: list[int] = []

    def action() -> dict[str, float]:
        calls.append(1)
        return {"accuracy": 0.123456789}

    assert ResultsFile(path).measure("row", ["a", 1], action) == {"accuracy": 0.12346}
    again = ResultsFile(path)
    assert again.measure("row", ["a", 1], action) == {"accuracy": 0.12346}
    assert len(calls) == 1
    again.measure("row", ["a", 2], action)
    assert len(calls) == 2
    assert again.found("other") is None
    assert list(json.loads(path.read_text())) == ["row"]


def test_what_was_measured_stays_when_the_next_fails(tmp_path: Path) -> None:
    ledger = ResultsFile(tmp_path / "results.json")
    ledger.measure("first", 1, lambda: [1.0])
    with pytest.raises(ZeroDivisionError):
        ledger.measure("second", 1, lambda: 1 / 0)
    assert ResultsFile(ledger.path).found("first") == [1.0]
    assert ResultsFile(ledger.path).found("second") is None
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_that_the_plan_no_longer_holds_are_dropped(tmp_path: Path) -> None:
    old = ResultsFile(tmp_path / "results.json")
    for key in ("kept", "gone"):
        old.measure(key, 1, lambda: [1.0])
    new = ResultsFile(old.path)
    new.measure("kept", 1, lambda: [2.0])
    new.forget_unasked()
    assert ResultsFile(old.path).entries.keys() == {"kept"}
    assert ResultsFile(old.path).found("kept") == [1.0]


def test_rounded_goes_all_the_way_down() -> None:
    assert rounded({"a": [0.1234567, {"b": 2.0000001}], "c": None, "d": 3}) == {
        "a": [0.12346, {"b": 2.0}],
        "c": None,
        "d": 3,
    }
