"""Events: what happens on a device. One type each, created once, and passed on unchanged to page, API, MQTT and log.

`time_ns` is the wall clock, nanoseconds since 1970, at the moment of the event.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge_app.messages import Decision
from edge_app.pipeline.coach import Advice
from edge_app.storage.records import Action


class Decided(NamedTuple):
    """A frame was classified."""

    label: str | None
    """The class after the majority vote; None: unknown, also where the novelty is above the limit."""
    decision: Decision
    """The classifier's decision on this frame alone."""
    confidence: float
    """Probability in 0..1 that `label` is right, if the frame shows a taught class; 0 for unknown."""
    sequence: int
    """Number of the frame."""
    time_ns: int
    captured_ns: int
    """Monotonic clock at capture."""
    latency_ns: int
    """From capture to the decision."""
    waited_ns: int
    """From capture until the encoder took the frame."""
    fresh: bool
    """False: the picture had not changed, so an earlier embedding was used again."""
    changed: bool
    """Whether `label` differs from the one before."""
    nearest: str | None = None
    """The class that `label` would be without the limit."""
    novelty: int = 0
    """Distance from what was taught, in 1/1024 octave; the mean over the frames that voted for `nearest`."""
    limit: int | None = None
    """The greatest novelty with a label, as [decision] strictness and the taught examples set it; None: any."""
    place: str = ""

    @property
    def spikes(self) -> dict[str, int]:
        """OUT spikes of each class's column."""
        return dict(zip(self.decision.labels, self.decision.spikes.tolist(), strict=True))

    @property
    def first_spike(self) -> dict[str, int]:
        """Step of each column's first OUT spike; 15 if it stayed silent."""
        return dict(zip(self.decision.labels, self.decision.first_spike.tolist(), strict=True))


class Taught(NamedTuple):
    """An example was stored and learnt."""

    example: int
    """Its id in the store."""
    label: str
    before: str | None
    """The class decided before it was learnt; None: unknown."""
    confidence: float
    """Of that decision, 0..1."""
    source: str
    """As stored with the example."""
    sequence: int | None
    """Number of the frame; None after a restart, which does not keep it."""
    time_ns: int
    advice: tuple[Advice, ...] = ()
    """Warnings that the example is worth (coach.py)."""
    place: str = ""
    """Where it was shown, or from which it was taught."""


class Corrected(NamedTuple):
    """Stored examples were changed, removed, brought back or imported."""

    kind: str
    """undone, forgotten, relabelled, renamed, merged or imported."""
    action: Action
    source: str
    time_ns: int
    group: str = ""
    """The group of places whose classes were corrected."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of the changed examples, before and after."""
        names = [name for change in self.action.changes for name in (change.before, change.after) if name is not None]
        return tuple(dict.fromkeys(names))

    @property
    def examples(self) -> tuple[int, ...]:
        """The ids of the changed examples."""
        return tuple(change.example for change in self.action.changes)


class Rejected(NamedTuple):
    """A command failed; nothing was changed."""

    reason: str
    source: str
    time_ns: int
    place: str = ""


class Health(NamedTuple):
    """The device's condition changed."""

    what: str
    """One of HEALTH_REPORTS, "rebuilding" or "rebuilt"."""
    level: int
    """As in the logging module."""
    fields: Mapping[str, object]
    """Of the log entry."""
    time_ns: int
    camera: str = ""
    """The camera that it is about; "": none."""
    group: str = ""
    """The group of places that it is about; "": none."""


Event = Decided | Taught | Corrected | Rejected | Health
Listener = Callable[[Event], None]

HEALTH_REPORTS = frozenset(
    {
        "camera_fault",
        "camera_absent",
        "camera_reopened",
        "camera_well",
        "history_resumed",
        "history_stopped",
        "rate_lowered",
        "rate_restored",
        "rebuild_failed",
        "recording_ended",
        "stage_failed",
    }
)
"""Log events of the pipeline that also become Health events."""
