"""How the device is, at one moment."""

from typing import NamedTuple

from edge_app.control.events import Answered


class Condition(NamedTuple):
    """Whether the device is well."""

    ok: bool
    reasons: tuple[str, ...]
    """Why it is not, in plain words."""


class DeviceStatus(NamedTuple):
    """How things are; immutable."""

    version: str
    uptime_s: float
    camera: str
    """One of "good", "black", "noise", "repeated" and "reopening"."""
    reopened: int
    """How often the camera was opened again."""
    captured: int
    decided: int
    dropped: int
    """Frames that came too fast."""
    fps: float | None
    """Decisions a second, over the last ones."""
    slowest_ms: float
    temperature_c: float | None
    slowed: bool
    """Whether the rate is lowered because of the temperature."""
    classes: tuple[str, ...]
    learnt: int
    """Examples taught since the start."""
    rebuilding: bool
    answer: Answered | None
    """The newest."""
    health: Condition
    rebuild_progress: tuple[int, int] | None = None
    """Presentations that the network being rebuilt has learnt, of how many; None: none is, or it has just begun."""


def condition(camera: str, silent: list[str], failure: Exception | None, answered: bool) -> Condition:
    """Return whether the device is well, and why it is not."""
    reasons = []
    if camera != "good":
        reasons.append(CAMERA.get(camera, f"camera: {camera}"))
    reasons += [f"the stage {name} does not answer" for name in silent]
    if failure is not None:
        reasons.append(f"the last correction is not in use yet: {failure}")
    if not answered:
        reasons.append("nothing was decided yet")
    return Condition(not reasons, tuple(reasons))


CAMERA = {
    "reopening": "the camera does not deliver pictures; it is being opened again",
    "black": "the camera's picture is black: it is dark, or the lens is covered",
    "noise": "the camera delivers noise instead of pictures",
    "repeated": "the camera delivers the very same picture again and again",
}
