"""The measurements of the history, small."""

from pathlib import Path

import pytest

from benchmarks.history import RARE, fill, kills, listening, pages, recording
from edge_app.history.records import VisitFilter
from edge_app.history.store import HistoryStore


def test_visits_of_a_month_with_a_rare_class(tmp_path: Path) -> None:
    with HistoryStore.open(tmp_path / "history.sqlite") as store:
        first_ns = fill(store, 300)
        assert store.total() == 300
        assert store.total(VisitFilter(label=RARE)) == 1
        assert store.page().visits[-1].begin_ns > first_ns
    found = pages(tmp_path / "pages", 200)
    assert found["visits_deleted"] == 0
    assert found["after_the_bound_mb"] < found["bound_mb"]
    assert set(found["page_of_50_ms"]["far_down"]) == {"median", "longest"}


def test_recording_and_listening_give_figures(tmp_path: Path) -> None:
    found = recording(tmp_path / "a", 3)
    assert found["visits"] == 3
    with HistoryStore.reader(tmp_path / "a" / "history.sqlite") as store:
        assert store.total() == 3
    assert listening(tmp_path / "b").keys() == {"median_us", "p95_us", "p99_us"}


@pytest.mark.slow
def test_kills_lose_nothing(tmp_path: Path) -> None:
    found = kills(tmp_path, 3, 1)
    assert found["acknowledged_examples"] > 3
    assert (found["lost_examples"], found["torn_visits"]) == (0, 0)
