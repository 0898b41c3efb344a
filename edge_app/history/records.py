"""Rows of the history, and the filters that select them."""

from enum import IntEnum
from typing import NamedTuple

from edge_app.errors import InputError
from edge_app.history.visits import Visit


class ClockState(IntEnum):
    """How sure the wall clock was when a visit's times were written."""

    DOUBTFUL = 0
    """Surely wrong: earlier than visits that were stored before."""
    UNCHECKED = 1
    """As the system says; nothing confirms it."""
    SYNCHRONISED = 2
    """The system has set it from a time server."""


class VisitRecord(NamedTuple):
    """A visit to be stored: a new one, or what became of one that was stored while it was still there."""

    visit: Visit
    open: bool
    """Whether the visit is not over yet."""
    id: int | None = None
    """None: not stored yet."""
    picture: bytes | None = None
    """JPEG of the encoder's input at its best decision; None: unchanged, or there is none."""
    embedding: bytes | None = None
    """Of that frame, uint8 (n,); given together with the picture."""


class StoredVisit(NamedTuple):
    """A visit in the database."""

    id: int
    place: str
    label: str | None
    """None: unknown."""
    begin_ns: int
    """Wall clock, nanoseconds since 1970; corrected when the clock is set later in the same run."""
    duration_ns: int
    """On the monotonic clock."""
    frames: int
    confidence: float
    """The best, 0..1."""
    mean_confidence: float
    runner_up: str | None
    novelty: int
    """Of the best decision, in 1/1024 octave."""
    clock: ClockState
    open: bool
    """Whether the visit is not over yet, or the device stopped before it was."""
    unsure: bool
    """Whether a person should look at it: unknown or of low confidence, and neither taught nor dismissed."""
    picture: bool
    """Whether its picture is stored."""
    taught: str | None
    """The class that it was taught as; None: it was not."""
    example: int | None
    """The example that it became."""

    @property
    def end_ns(self) -> int:
        """Wall clock at its last decision."""
        return self.begin_ns + self.duration_ns


class VisitFilter(NamedTuple):
    """Which visits: all conditions must hold; the default selects all."""

    label: str | None = None
    unknown: bool = False
    """Only unknown ones; not together with a label."""
    place: str | None = None
    unsure: bool | None = None
    from_ns: int | None = None
    """Those that begin at this time or later, wall clock."""
    before_ns: int | None = None
    """Those that begin before this time."""
    picture: bool = False
    """Only those with a picture."""

    def check(self) -> None:
        """Raise InputError for conditions that contradict one another."""
        if self.unknown and self.label is not None:
            raise InputError(f"label = {self.label!r} together with unknown: give one of them")
        if self.from_ns is not None and self.before_ns is not None and self.from_ns > self.before_ns:
            raise InputError(f"from {self.from_ns} ns is later than before {self.before_ns} ns: swap them")


class VisitPage(NamedTuple):
    """Some visits, and where to go on."""

    visits: list[StoredVisit]
    cursor: str | None
    """For the next page; None: there is none."""


class LabelCount(NamedTuple):
    """Visits of one label in an hour, a day or a whole period."""

    begin_ns: int
    """Wall clock at the beginning of the hour or day."""
    label: str | None
    visits: int
    """Visits that began in it."""
    duration_ns: int
    """Time that the label was there within it; a visit that lasts longer is divided among its hours or days."""


class VisitGroup(NamedTuple):
    """Unknown visits that look alike."""

    visits: list[int]
    """Their ids, the most typical first."""
    likeness: float
    """The mean cosine of their embeddings to the most typical one, 0..1."""
