"""The table of a run."""

import json
from pathlib import Path

import pytest

from virtual_device import needs
from virtual_device.report import Outcome, Report


def test_a_run_without_scenarios_has_not_passed() -> None:
    assert not Report().passed


def test_one_failure_is_enough() -> None:
    good = Outcome("day", "ready", "READY", 1.0, {"ready_s": 0.9})
    assert Report([good]).passed
    assert not Report([good, Outcome("day", "undo", "undone", 2.0, why="the light stayed on")]).passed


def test_the_table_has_a_line_a_scenario(tmp_path: Path) -> None:
    report = Report([Outcome("day", "ready", "READY", 12.34, {"ready_s": 9.5})], {"whole_run_s": 60.1})
    report.outcomes.append(Outcome("faults", "frozen", "the watchdog", 48.0, why="it did not bite"))
    first, second, third, _, last = report.table().splitlines()
    assert first.split() == ["scenario", "what", "it", "shows", "s", "figures"]
    assert second.startswith("passed  ready ")
    assert second.endswith("12.3  ready s 9.5")
    assert third.startswith("FAILED  frozen")
    assert last == "whole run s 60.1"
    report.write(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert (written["passed"], written["whole_run_s"]) == (False, 60.1)
    assert [found["why"] for found in written["scenarios"]] == ["", "it did not bite"]


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(needs, "PROGRAMS", {"no-such-program": "apt-get install no-such-package"})
    assert "no-such-program: apt-get install no-such-package" in needs.missing()


def test_the_page_s_table_is_written_from_the_report(tmp_path: Path) -> None:
    good = Outcome("day", "ready", "READY", 12.34, {"ready_s": 9.5, "runtime": "ai-edge-litert"})
    report, page = Report([good], {"whole_run_s": 60.1}), tmp_path / "page.md"
    page.write_text("before\n<!-- scenarios, by make test-system KEEP=1 -->\nold\n<!-- end -->\nafter\n")
    for _ in range(2):
        report.fill(page)
    text = page.read_text()
    assert text.startswith("before\n<!-- ")
    assert text.endswith("The run: whole run s 60.1.\n<!-- end -->\nafter\n")
    assert "| day | ready | passed | 12 | ready s 9.5 |" in text
    assert "old" not in text
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="lost the marks"):
        report.fill(page)
