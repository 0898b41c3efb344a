"""The condition of the device at one moment."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from edge_app.pipeline.events import Decided
from edge_app.pipeline.place import Place

HistoryState = Literal["on", "without pictures", "off"]
"""Whether visits are stored, and their pictures."""


class Condition(NamedTuple):
    """Whether the device is well."""

    ok: bool
    reasons: tuple[str, ...]
    """Why it is not, for people."""


class DeviceStatus(NamedTuple):
    """The device's condition and figures; immutable."""

    version: str
    uptime_s: float
    camera: str
    """One of "good", "black", "noise", "repeated", "reopening" and "ended"."""
    reopened: int
    """Times the camera was opened again."""
    captured: int
    decided: int
    dropped: int
    """Frames that came faster than they could be encoded."""
    fps: float | None
    """Decisions per second, over the last ones."""
    slowest_ms: float
    """The longest time from capture to decision."""
    temperature_c: float | None
    slowed: bool
    """Whether the rate is lowered because of the temperature."""
    classes: tuple[str, ...]
    learnt: int
    """Examples taught since the start."""
    rebuilding: bool
    last_decision: Decided | None
    health: Condition
    rebuild_progress: tuple[int, int] | None = None
    """(presentations learnt, presentations in all) of a rebuild; None: none runs, or it has just begun."""
    history: HistoryState = "off"
    history_stopped: str | None = None
    """Why no visits are stored at the moment, as when the disk is nearly full; None: they are, or history is "off"."""


SETTLED_S = 2.0
"""A camera fault that lasts less is not reported as a condition: two equal frames, a hand before the lens."""
CAMERA = {
    "reopening": "the camera does not deliver pictures; it is being opened again",
    "black": "the camera's picture is black: it is dark, or the lens is covered",
    "noise": "the camera delivers noise instead of pictures",
    "repeated": "the camera delivers the very same picture again and again",
    "ended": "the recording has ended",
}
FOR_CERTAIN = ("reopening", "ended")
"""Conditions of a camera that are told at once."""


def condition(place: Place) -> Condition:
    """Return whether all is well at a place, and why not; cheap."""
    capture, failure = place.capture, place.group.learner.failure
    camera = capture.state
    settled = camera in FOR_CERTAIN or capture.lasted_s >= SETTLED_S
    reasons = []
    if camera != "good" and settled:
        reasons.append(CAMERA.get(camera, f"camera: {camera}"))
    reasons += [f"the stage {name} does not answer" for name in (place.life.overdue() if place.running else [])]
    if failure is not None:
        reasons.append(f"the last correction is not in use yet: {failure}")
    if place.decide.last is None:
        reasons.append("nothing was decided yet")
    return Condition(not reasons, tuple(reasons))


def condition_of_all(places: Iterable[Place]) -> Condition:
    """Return whether all is well at all places; a reason that not all of them have names its place."""
    found = {place.name: condition(place).reasons for place in places}
    reasons = dict.fromkeys(reason for several in found.values() for reason in several)
    told: list[str] = []
    for reason in reasons:
        concerned = [name for name, several in found.items() if reason in several]
        everywhere = len(concerned) == len(found)
        told += [reason] if everywhere else [f"place {name!r}: {reason}" for name in concerned]
    return Condition(not told, tuple(told))
