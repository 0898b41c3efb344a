"""The condition of the device at one moment."""

from typing import Literal, NamedTuple

from edge_app.pipeline.events import Decided

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
    """One of "good", "black", "noise", "repeated" and "reopening"."""
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


CAMERA = {
    "reopening": "the camera does not deliver pictures; it is being opened again",
    "black": "the camera's picture is black: it is dark, or the lens is covered",
    "noise": "the camera delivers noise instead of pictures",
    "repeated": "the camera delivers the very same picture again and again",
}


def condition(camera: str, silent: list[str], failure: Exception | None, decided: bool) -> Condition:
    """Return whether the device is well, and why not; `silent` are the stages whose heartbeat is late."""
    reasons = []
    if camera != "good":
        reasons.append(CAMERA.get(camera, f"camera: {camera}"))
    reasons += [f"the stage {name} does not answer" for name in silent]
    if failure is not None:
        reasons.append(f"the last correction is not in use yet: {failure}")
    if not decided:
        reasons.append("nothing was decided yet")
    return Condition(not reasons, tuple(reasons))
