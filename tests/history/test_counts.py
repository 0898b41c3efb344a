"""Visits and time per label by hour and day of local time."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.history.counts import periods
from edge_app.history.records import ClockState, VisitFilter, VisitRecord
from edge_app.history.store import HistoryStore
from support.visits import WALL_NS, visit

HOUR_NS = 3600 * NS_PER_S
BERLIN = ZoneInfo("Europe/Berlin")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS_PER_S


def test_a_day_on_which_the_clocks_change_has_23_or_25_hours() -> None:
    spring = periods(ns("2026-03-28T12:00+01:00"), ns("2026-03-30T12:00+02:00"), "day", BERLIN)
    assert [(end - begin) // HOUR_NS for begin, end in pairwise(spring)] == [24, 23, 24]
    autumn = periods(ns("2026-10-25T00:00+02:00"), ns("2026-10-26T00:00+01:00"), "day", BERLIN)
    assert [(end - begin) // HOUR_NS for begin, end in pairwise(autumn)] == [25]
    hours = periods(autumn[0], autumn[1], "hour", BERLIN)
    assert len(hours) == 26


def test_hours_begin_at_the_full_hour_of_a_zone_with_half_an_hour() -> None:
    found = periods(WALL_NS + 1, WALL_NS + HOUR_NS, "hour", ZoneInfo("Asia/Kolkata"))
    assert found[0] == WALL_NS - HOUR_NS // 2
    assert len(found) == 3


def test_too_long_a_time_is_refused() -> None:
    with pytest.raises(InputError, match="more than 3700 hours"):
        periods(0, WALL_NS, "hour", UTC)
    with pytest.raises(InputError, match="outside the calendar"):
        periods((1 << 62) * 100, (1 << 62) * 101, "day", UTC)


def test_a_long_visit_is_divided_among_its_hours(tmp_path: Path) -> None:
    with HistoryStore.open(tmp_path / "history.sqlite") as store:
        long = visit("mug", -1800, 3 * 3600)
        short = [visit("pen", 3 * 3600 + second, 1) for second in (0, 10)]
        store.add([VisitRecord(one, open=False) for one in (long, *short)], 1, ClockState.UNCHECKED)
        found = store.counts("hour", WALL_NS, WALL_NS + 4 * HOUR_NS, zone=UTC)
        assert found == [
            (WALL_NS, "mug", 0, HOUR_NS),
            (WALL_NS + HOUR_NS, "mug", 0, HOUR_NS),
            (WALL_NS + 2 * HOUR_NS, "mug", 0, HOUR_NS // 2),
            (WALL_NS + 3 * HOUR_NS, "pen", 2, 2 * NS_PER_S),
        ]
        assert store.counts("hour", WALL_NS, WALL_NS + 4 * HOUR_NS, VisitFilter(label="pen"), UTC) == found[3:]
        (mug, pen) = store.counts("day", WALL_NS, WALL_NS + 1, zone=UTC)
        assert (mug[1:], pen[1:]) == (("mug", 1, 3 * HOUR_NS), ("pen", 2, 2 * NS_PER_S))
