"""Visits and time per label, by hour or day of local time; pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from edge_app.errors import InputError
from edge_app.history.records import LabelCount

Period = Literal["hour", "day"]
MOST_PERIODS = 3_700
"""Hours or days of one question: ten years of days, five months of hours."""
US = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A visit's label and time."""

    label: str | None
    begin_ns: int
    duration_ns: int

    @property
    def end_ns(self) -> int:
        """Where it ends."""
        return self.begin_ns + self.duration_ns


class Spans(Protocol):
    """Visits, as the database tells of them."""

    def totals(self, begin_ns: int, end_ns: int) -> Iterable[tuple[str | None, int, int]]:
        """Return (label, visits, time up to `end_ns`) of those that begin in [begin_ns, end_ns)."""

    def crossing(self, begin_ns: int, end_ns: int) -> Iterable[Span]:
        """Return those that begin in [begin_ns, end_ns) and last beyond it."""

    def reaching(self, time_ns: int) -> Iterable[Span]:
        """Return those that began before a time and last beyond it."""


def periods(from_ns: int, before_ns: int, period: Period, zone: tzinfo | None = None) -> list[int]:
    """Return where the hours or days of local time begin from `from_ns` on, and last where they end; ns since 1970.

    The first begins at or before `from_ns`. A day on which the clocks are changed has 23 or 25 hours. `zone` None: the
    system's. Raises InputError for more than MOST_PERIODS, and for times that the calendar does not have.
    """
    # a day's step ends within the next day, whether the day has 23 or 25 hours
    step_ns = (1 if period == "hour" else 27) * 3600 * 1_000_000_000
    try:
        found = [_floor(from_ns, period, zone)]
        while found[-1] < before_ns:
            if len(found) > MOST_PERIODS:
                raise InputError(f"more than {MOST_PERIODS} {period}s: ask for a shorter time")
            found.append(_floor(found[-1] + step_ns, period, zone))
    except (OverflowError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"a time from {from_ns} to {before_ns} ns is outside the calendar: {error}") from error
    return found


def count(bounds: list[int], spans: Spans) -> Iterator[LabelCount]:
    """Yield the counts of each period between two of `bounds`, labels in alphabetical order, unknown first."""
    reaching = list(spans.reaching(bounds[0]))
    for begin, end in pairwise(bounds):
        visits: dict[str | None, int] = defaultdict(int)
        lasting: dict[str | None, int] = defaultdict(int)
        for span in reaching:
            lasting[span.label] += min(span.end_ns, end) - begin
        for label, number, duration in spans.totals(begin, end):
            visits[label] += number
            lasting[label] += duration
        reaching = [span for span in (*reaching, *spans.crossing(begin, end)) if span.end_ns > end]
        for label in sorted(visits.keys() | lasting.keys(), key=lambda name: (name is not None, name or "")):
            yield LabelCount(begin, label, visits[label], lasting[label])


def local_time(time_ns: int, zone: tzinfo | None = None) -> datetime:
    """Return a time as local time, to the microsecond. Raises OverflowError or ValueError outside the calendar."""
    return (EPOCH + timedelta(microseconds=time_ns // US)).astimezone(zone)


def _floor(time_ns: int, period: Period, zone: tzinfo | None) -> int:
    at = local_time(time_ns, zone)
    if period == "hour":
        at = at.replace(minute=0, second=0, microsecond=0)
    else:
        # midnight may have another offset from UTC than the time has
        midnight = datetime(at.year, at.month, at.day)
        at = midnight.astimezone() if zone is None else midnight.replace(tzinfo=zone)
    return (at - EPOCH) // timedelta(microseconds=1) * US
