"""The camera: devices, permissions, and whether it delivers moving pictures."""

import os
import stat
from collections.abc import Callable, Iterator

from edge_app.devices import is_event_camera, watched_uri
from edge_app.devices.ports import NS_PER_S, Camera, CameraLoss, Clock
from edge_app.devices.uri import split_path, split_scheme
from edge_app.doctor.findings import Finding, System
from edge_app.doctor.software import user_groups
from edge_app.errors import DeviceError, InputError

FRAMES = 20
FRAME_S = 5.0
"""Longest time for a frame, seconds."""
WATCH_S = 5.0
"""Time for which frames are read."""
BLACK = 6.0
"""A picture with a mean level, of 255, up to this counts as black."""

Opener = Callable[[str, Clock], Camera]


def check_camera_devices(system: System, uri: str) -> Iterator[Finding]:
    """List the kernel's cameras, and check the permissions of the configured one."""
    found = {}
    for entry in sorted(system.root.glob("sys/class/video4linux/video*")):
        name = system.text(f"sys/class/video4linux/{entry.name}/name") or "unnamed"
        found[f"/dev/{entry.name}"] = name
    listed = "; ".join(f"{path} {name}" for path, name in found.items())
    uri = watched_uri(uri)
    scheme = split_scheme(uri)[0]
    if scheme != "v4l2":
        yield Finding("cameras", "ok", listed or "none known to the kernel")
        return
    if not found:
        yield Finding(
            "cameras", "failed", "the kernel finds no camera", "plug it in; `dmesg | tail` shows the kernel's messages"
        )
        return
    yield Finding("cameras", "ok", listed)
    path = system.root / split_path(uri)[0].lstrip("/")
    # both, because V4L2 sets up its buffers through a descriptor that may write
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        mode = stat.filemode(path.stat().st_mode)
        yield Finding(
            "camera rights", "failed", f"this user may not use {split_path(uri)[0]} ({mode})", user_groups(path)
        )


def check_camera(uri: str, clock: Clock, open_camera: Opener, *, recording: bool, busy: bool) -> Iterator[Finding]:
    """Open the camera and read some frames; `busy`: the service runs and may hold it."""
    if split_scheme(watched_uri(uri))[0] == "sim":
        advice = "set --camera, or uri in [camera]: docs/cameras.md"
        yield Finding("camera", "warning", f"simulated ({uri})", advice)
    try:
        camera = open_camera(uri, clock)
    except DeviceError as error:
        if busy:
            yield Finding(
                "camera", "warning", f"not checked: {error}", "the service holds it: sudo systemctl stop edge-app"
            )
        else:
            yield Finding("camera", "failed", str(error))
        return
    try:
        # where nothing moves there are no events, and in two colours that is black
        yield _watched(camera, clock, recording or is_event_camera(uri))
    except CameraLoss as error:
        yield Finding("camera", "warning", str(error), "docs/events.md: too many events")
    except DeviceError as error:
        yield Finding("camera", "failed", str(error), "try another cable or port, or a lower size or fps in the URI")
    finally:
        camera.close()


def _watched(camera: Camera, clock: Clock, still: bool) -> Finding:
    """Return what is seen; `still`: pictures may be equal, or black."""
    start_ns = clock.monotonic_ns()
    pictures: set[bytes] = set()
    count, levels, shape = 0, 0.0, ""
    while count < FRAMES and clock.monotonic_ns() - start_ns < WATCH_S * NS_PER_S:
        frame = camera.read(FRAME_S)
        if frame is None:
            break
        count += 1
        levels += float(frame.image[::8, ::8].mean())
        # a 64th of the pixels: whether pictures differ is seen in a sample
        pictures.add(frame.image[::8, ::8].tobytes())
        shape = f"{frame.image.shape[1]} x {frame.image.shape[0]}"
    if count == 0:
        raise InputError(f"{camera.uri}: no frame arrived")
    seconds = (clock.monotonic_ns() - start_ns) / NS_PER_S
    detail = f"{shape}, {count} frames in {seconds:.1f} s"
    if levels / count <= BLACK and not still:
        return Finding("camera", "warning", f"{detail}, all black", "remove the lens cap, switch a light on")
    if len(pictures) == 1 and count > 1 and not still:
        return Finding(
            "camera", "failed", f"{detail}, all identical", "the camera hangs: unplug it and plug it in again"
        )
    return Finding("camera", "ok", f"{detail}, {len(pictures)} different")
