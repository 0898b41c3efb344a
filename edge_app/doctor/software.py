"""Libraries, numba's cache and the service."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_app.devices import live_uri
from edge_app.devices.child import SYSTEM_PYTHON
from edge_app.devices.metavision import INSTALL
from edge_app.doctor.findings import Finding, Runner, System

LIBRARIES = {
    "numpy": "numpy",
    "numba": "numba",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
}
"""Module -> distribution: needed by every run, besides a TFLite runtime."""
EXTRAS = {"web": ("msgspec", "starlette", "uvicorn", "websockets"), "mqtt": ("paho.mqtt",)}
"""Extra -> its modules."""
NEEDED_BY = {"gpio": ("gpiod", "gpio"), "events": ("faery", "events")}
"""Scheme of a device -> (module, extra)."""
PROGRAMS = {
    "gst": ("gst-launch-1.0", "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base"),
    "picamera2": ("rpicam-hello", "sudo apt install --no-install-recommends python3-picamera2 rpicam-apps"),
}
"""Scheme of a camera -> (system program, command that installs it)."""
SERVICE_CACHE = "var/cache/edge-app"
UNIT = "etc/systemd/system/edge-app.service"
ARGUS_DROP_IN = "etc/systemd/system/edge-app.service.d/jetson.conf"
ARGUS_SOCKET = "tmp/argus_socket"
OPENEB = "from metavision_core.event_io import EventsIterator; print('there')"


def check_libraries(run: Runner, schemes: tuple[str, ...] = (), extras: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Import each library in a child process, because a wheel for another processor crashes it.

    `schemes`: of the configured devices. `extras`: keys of `EXTRAS` in use.
    """
    wanted = [(module, f"pip install --force-reinstall {name}") for module, name in LIBRARIES.items()]
    optional = [NEEDED_BY[scheme] for scheme in dict.fromkeys(schemes) if scheme in NEEDED_BY]
    optional += [(module, extra) for extra in extras for module in EXTRAS[extra]]
    wanted += [(module, f'pip install "edge-app[{extra}]"') for module, extra in optional]
    for module, way_out in wanted:
        answer = run([sys.executable, "-c", f"import {module}; print(getattr({module}, '__version__', 'there'))"])
        if answer is None:
            yield Finding(
                module, "failed", "cannot be imported", f"{way_out}; `python -c 'import {module}'` shows the error"
            )
        else:
            yield Finding(module, "ok", answer.splitlines()[-1] if answer else "there")


def check_programs(schemes: tuple[str, ...], which: Callable[[str], str | None]) -> Iterator[Finding]:
    """Check for the system programs that cameras of these schemes need."""
    for scheme, (program, way_out) in PROGRAMS.items():
        if scheme in schemes:
            path = which(program)
            yield Finding(program, "ok" if path else "failed", path or "not installed", "" if path else way_out)


def check_cache(state: Callable[[], tuple[str | None, int, str]]) -> Iterator[Finding]:
    """Check for compiled kernels for this user; `state` is kernel_cache.cache_state."""
    folder, files, reason = state()
    if folder is None:
        yield Finding("kernels", "warning", reason, "set NUMBA_CACHE_DIR to a folder that this user can write")
    elif not files:
        yield Finding(
            "kernels", "warning", f"none cached in {folder}: the next start takes a minute", "edge-app warmup"
        )
    else:
        yield Finding("kernels", "ok", f"{files} files in {folder}")


def check_service(system: System) -> Iterator[Finding]:
    """Check that the service is installed, runs, and starts at boot."""
    if not (system.root / UNIT).is_file():
        yield Finding("service", "ok", "not installed (sudo edge-app install-service installs it)")
        return
    active = system.run(["systemctl", "show", "edge-app", "--property=ActiveState", "--value"])
    enabled = system.run(["systemctl", "show", "edge-app", "--property=UnitFileState", "--value"])
    restarts = system.run(["systemctl", "show", "edge-app", "--property=NRestarts", "--value"]) or "0"
    log = "journalctl -u edge-app -n 50 shows why"
    if active is None:
        yield Finding("service", "warning", "installed; systemctl does not report its state")
    elif active == "failed":
        yield Finding("service", "failed", "failed", log)
    elif active != "active":
        yield Finding("service", "warning", f"{active}, {enabled}", "sudo systemctl enable --now edge-app")
    elif enabled != "enabled":
        yield Finding(
            "service",
            "warning",
            f"running, but {enabled}: it does not start at boot",
            "sudo systemctl enable edge-app",
        )
    elif restarts not in ("", "0"):
        yield Finding("service", "warning", f"running, restarted {restarts} times", log)
    else:
        yield Finding("service", "ok", "running, starts at boot")
    # .nbi: numba's index files
    if not any((system.root / SERVICE_CACHE).rglob("*.nbi")):
        yield Finding("service kernels", "warning", f"none cached in /{SERVICE_CACHE}", "sudo edge-app install-service")


def needs_argus(uri: str) -> bool:
    """Whether a camera needs a Jetson's nvargus-daemon: a CSI camera, by the preset or in a pipeline."""
    return uri.lower().startswith("gst:") and ("jetson-csi" in uri or "nvarguscamerasrc" in uri)


def check_argus(system: System, uri: str) -> Iterator[Finding]:
    """Check that the service can reach the daemon of a Jetson's CSI camera; nothing for other cameras."""
    if not needs_argus(uri):
        return
    if not (system.root / ARGUS_SOCKET).exists():
        advice = "sudo systemctl restart nvargus-daemon; `gst-launch-1.0 nvarguscamerasrc num-buffers=30 ! fakesink`"
        yield Finding("nvargus-daemon", "failed", f"/{ARGUS_SOCKET} is missing: the daemon does not run", advice)
    if (system.root / UNIT).is_file() and not (system.root / ARGUS_DROP_IN).is_file():
        yield Finding(
            "service camera",
            "warning",
            "the service cannot use a Jetson's CSI camera: its unit hides /tmp and the camera's devices",
            "sudo edge-app install-service --jetson, then sudo systemctl restart edge-app",
        )


def check_openeb(run: Runner, uri: str) -> Iterator[Finding]:
    """Check that the Python of an event camera's process has the maker's library; nothing for other cameras."""
    live = live_uri(uri)
    if not live:
        return
    given = re.search(r"(?:[?,]python=)([^,]+)", live)
    python = given[1] if given else SYSTEM_PYTHON
    if run([python, "-I", "-c", OPENEB]):
        yield Finding("OpenEB", "ok", f"there for {python}")
    else:
        advice = f"install it: {INSTALL}; `{python} -I -c 'import metavision_core.event_io'` shows the error"
        yield Finding("OpenEB", "failed", f"{python} cannot import metavision_core.event_io", advice)


def service_runs(system: System) -> bool:
    """Whether the service is running, and so holds camera, lines and state folder."""
    return system.run(["systemctl", "show", "edge-app", "--property=ActiveState", "--value"]) == "active"


def user_groups(path: Path) -> str:
    """Return the command that gives this user access to a device file, through its group."""
    try:
        group = path.group()
    except (KeyError, OSError):
        group = "video"
    if os.geteuid() == 0 or group == "root":
        return "a udev rule must assign it to a group: sudo edge-app install-service writes one"
    return f"sudo usermod -aG {group} $USER, then log in again"
