"""Cameras, buttons, indicators, outputs and clocks; opened by URI, the driver imported when it is named."""

import importlib
from collections.abc import Collection
from typing import Any, cast

from edge_app.devices.live import LiveCamera
from edge_app.devices.ports import Buttons, Camera, Clock, Indicator, Outputs
from edge_app.devices.uri import OPTION_MARKS, split_scheme, without_password
from edge_app.devices.view import View, ViewedCamera
from edge_app.errors import InputError

# names, not functions: a driver's library is imported only when its scheme is used
CAMERAS = {
    "sim": "edge_app.simulation.devices:camera_from_uri",
    "dir": "edge_app.devices.files:directory_from_uri",
    "file": "edge_app.devices.video:video_from_uri",
    "v4l2": "edge_app.devices.v4l2:camera_from_uri",
    "picamera2": "edge_app.devices.picamera:camera_from_uri",
    "gst": "edge_app.devices.gstreamer:camera_from_uri",
    "events": "edge_app.devices.events:camera_from_uri",
} | dict.fromkeys(("rtsp", "rtsps", "http", "https"), "edge_app.devices.streams:camera_from_uri")
"""Scheme -> "module:factory"; a factory takes the URI and a clock and returns a camera that is not open yet.

That of events takes the colours too, in which it draws where the URI does not say.
"""

BUTTONS = {
    "sim": "edge_app.simulation.devices:buttons_from_uri",
    "keyboard": "edge_app.devices.keyboard:keyboard_from_uri",
    "gpio": "edge_app.devices.gpio:buttons_from_uri",
}
"""Scheme -> "module:factory"; a factory takes the URI and a clock and returns buttons ready to be read."""

INDICATORS = {
    "sim": "edge_app.simulation.devices:indicator_from_uri",
    "gpio": "edge_app.devices.gpio:lights_from_uri",
}
"""Scheme -> "module:factory"; a factory takes the URI and a clock and returns an indicator ready to be used."""

OUTPUTS = {
    "sim": "edge_app.simulation.devices:outputs_from_uri",
    "gpio": "edge_app.devices.gpio:outputs_from_uri",
}
"""Scheme -> "module:factory"; a factory takes the URI, a clock and the names that are on at first."""


LIVE_EVENTS = "metavision:"
"""Begins the details of an event camera's URI."""
EVENT_OPTIONS = ("threshold", "colours")
"""Options of `events:CAMERA`, written among those of the camera."""


def converted_uri(uri: str) -> tuple[str, str]:
    """Return the URI of the camera that `events:CAMERA` makes into events, and the options that are not that camera's.

    Both are empty for any other URI, a recording's and an event camera's among them. Raises InputError without a
    scheme.
    """
    scheme, rest = split_scheme(uri)
    inner = rest.partition(":")[0].lower()
    if scheme != "events" or inner not in CAMERAS or inner == "events" or (":" not in rest and inner != "sim"):
        return "", ""
    if inner == "sim" and "scene=" not in rest:
        # photographs that jump once a second would make few events
        rest = f"sim:{rest[4:]}{',' if rest[4:] else ''}scene=shapes"
    head, mark, text = rest.partition(":") if inner == "sim" else rest.rpartition(OPTION_MARKS.get(inner, "?"))
    if not mark:
        return rest, ""
    parts = text.split(",")
    own = [part for part in parts if part.partition("=")[0] in EVENT_OPTIONS]
    left = ",".join(part for part in parts if part not in own)
    return (head + mark + left if left or inner == "sim" else head) if own else rest, ",".join(own)


def live_uri(uri: str) -> str:
    """Return `metavision:SERIAL?OPTIONS` of an event camera, `events:metavision:SERIAL?OPTIONS`; "" of any other.

    The serial number may be left out, with the colon. Raises InputError without a scheme.
    """
    scheme, rest = split_scheme(uri)
    details, mark, options = rest.partition("?")
    name, _, serial = details.partition(":")
    live = scheme == "events" and f"{name.lower()}:" == LIVE_EVENTS
    return f"{LIVE_EVENTS}{serial}{mark}{options}" if live else ""


def is_event_camera(uri: str) -> bool:
    """Return whether a camera shows events. Raises InputError without a scheme."""
    return split_scheme(uri)[0] == "events"


def unsuited(uri: str, colours: str) -> str | None:
    """Return why a camera does not suit a model for which events are drawn in `colours`; None if it does.

    "grey" is for a model of pictures, which takes those of any camera. Raises InputError without a scheme.
    """
    if not is_event_camera(uri):
        reason = f"it shows pictures, and the model takes events drawn in {colours}: write events: before its URI"
        return None if colours == "grey" else reason
    inner, text = converted_uri(uri)
    options = (part.partition("=") for part in (text if inner else uri.rpartition("?")[2]).split(","))
    given = {name: value for name, _, value in options}.get("colours", colours)
    reason = f"it draws events in {given}, and the model takes them in {colours}: leave colours out of its URI"
    return None if given == colours else reason


def watched_uri(uri: str) -> str:
    """Return what is behind `events:`, a frame camera's URI or that of `live_uri`; any other URI as it is.

    Raises InputError without a scheme.
    """
    return converted_uri(uri)[0] or live_uri(uri) or uri


def open_camera(uri: str, clock: Clock, view: View | None = None, *, stall_after_s: float | None = None) -> Camera:
    """Open the camera that `uri` names; see `make_camera`. Raises DeviceError too, when the driver cannot open it."""
    camera = make_camera(uri, clock, view, stall_after_s=stall_after_s)
    camera.open()
    return camera


def make_camera(
    uri: str, clock: Clock, view: View | None = None, *, stall_after_s: float | None = None, colours: str = "grey"
) -> Camera:
    """Return the camera that `uri` names, closed; its frames are as `view` shows them.

    `stall_after_s`: seconds without a frame after which the caller will close it; None: the driver's default.
    `colours`: how events are drawn where the URI does not say, as in events.drawing.

    Raises InputError for an unknown scheme or option, RuntimeMissing when the driver's library is not installed. Never
    another camera than the one that was asked for.
    """
    more = {"colours": colours} if is_event_camera(uri) else {}
    camera = cast(Camera, _factory("camera", CAMERAS, uri)(uri, clock, **more))
    live = getattr(camera, "converted", camera)
    if stall_after_s is not None and isinstance(live, LiveCamera):
        live.patience_s = stall_after_s
    # the default view changes nothing
    if view is not None and view != View():
        camera = ViewedCamera(camera, view)
    return camera


def open_buttons(uri: str, clock: Clock) -> Buttons:
    """Open the buttons that `uri` names; errors as for `open_camera`."""
    return cast(Buttons, _factory("buttons", BUTTONS, uri)(uri, clock))


def open_indicator(uri: str, clock: Clock) -> Indicator:
    """Open the indicator that `uri` names; errors as for `open_camera`."""
    return cast(Indicator, _factory("indicator", INDICATORS, uri)(uri, clock))


def open_outputs(uri: str, clock: Clock, on: Collection[str] = ()) -> Outputs:
    """Open the outputs that `uri` names, those in `on` switched on, the others off; errors as for `open_camera`."""
    return cast(Outputs, _factory("outputs", OUTPUTS, uri)(uri, clock, on))


def _factory(kind: str, registry: dict[str, str], uri: str) -> Any:
    scheme, _ = split_scheme(uri)
    if scheme not in registry:
        known = ", ".join(f"{name}:" for name in registry)
        raise InputError(f"{without_password(uri)!r}: no {kind} driver is called {scheme!r}; known: {known}")
    module, _, name = registry[scheme].partition(":")
    return getattr(importlib.import_module(module), name)
