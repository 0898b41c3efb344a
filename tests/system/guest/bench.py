"""The tools of a scenario: the service, its journal, the device's buttons, lights and camera, the line to the host."""

import functools
import json
import re
import subprocess
import threading
import time
import tty
from collections.abc import Callable
from typing import Any

from devices import CHECKERS, RED, Camera, Flashes, Lines

APP = "/opt/edge-app/bin/edge-app"
PYTHON = "/opt/edge-app/bin/python3"
GUEST = "/opt/material/guest"
STATE, CACHE = "/var/lib/edge-app", "/var/cache/edge-app"
UNIT = "edge-app"
LIMIT_S = 240.0
"""Longest wait of a scenario for an expected event, on a machine without other load."""


class NotSo(AssertionError):
    """An event that a scenario expects did not happen."""


def require(condition: object, what: str) -> None:
    """Raise NotSo unless a condition holds; a bare assert would say nothing on a line without pytest."""
    if not condition:
        raise NotSo(what)


BOOT_S = 8.0
"""After which time the devices are there on a machine at rest."""


@functools.cache
def patience_s() -> float:
    """Return how long to wait for what must come: an emulated machine whose host is busy took long to boot, too."""
    found = run("systemctl", "show", "devices", "-p", "ActiveEnterTimestampMonotonic", "--value")
    return LIMIT_S * max(1.0, int(found) / 1e6 / BOOT_S)


def rested() -> bool:
    """Return whether the host has time for this machine; what a busy one delays is no fault of the service."""
    return patience_s() < 2 * LIMIT_S


def require_flashes(flashes: Flashes, expected: int) -> None:
    """Wait for the status light's flashes, and raise NotSo unless there were so many.

    On a machine that is too busy to look or to flash in time some may run together.
    """
    flashes.settled()
    seen, exact = flashes.count, rested() and flashes.longest_gap_s < flashes.SHORTEST_S / 2
    told = f"{seen} flashes were seen, expected {expected}; the longest gap was {flashes.longest_gap_s:.3f} s"
    require(seen == expected if exact else 1 <= seen <= expected, told)


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of a condition; raises NotSo when there is none in time."""
    limit_s = patience_s()
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotSo(f"not within {limit_s:g} s: {what}")
        time.sleep(0.05)


def run(*command: str, user: str | None = None) -> str:
    """Run a program, as the service's user with its compiled kernels, or as root; return what it printed.

    Raises NotSo, with what it printed, when it fails.
    """
    become = ["runuser", "-u", user, "--", "env", f"NUMBA_CACHE_DIR={CACHE}"] if user else []
    found = subprocess.run([*become, *command], capture_output=True, text=True)
    if found.returncode:
        raise NotSo(f"{' '.join(command)} ended with {found.returncode}: {(found.stdout + found.stderr)[-3000:]}")
    return found.stdout + found.stderr


class HostLine:
    """The line to the host: JSON objects out, words in."""

    def __init__(self, path: str = "/dev/ttyS1") -> None:
        self._file = open(path, "rb+", buffering=0)  # noqa: SIM115 open as long as the guest runs
        tty.setraw(self._file)
        self._lock = threading.Lock()

    def tell(self, event: str, **fields: Any) -> None:
        """Send an event."""
        data = json.dumps({"event": event, "uptime": uptime_s(), **fields}).encode() + b"\n"
        with self._lock:
            while data:
                data = data[self._file.write(data) or 0 :]

    def hear(self) -> str:
        """Wait for a line."""
        heard = b""
        while not heard.endswith(b"\n"):
            heard += self._file.read(1) or b""
        return heard.decode().strip()


def uptime_s() -> float:
    """Return seconds since the kernel's start."""
    with open("/proc/uptime") as file:
        return float(file.read().split()[0])


class Journal:
    """The log lines of the service, and systemd's about it, from now on."""

    def __init__(self) -> None:
        command = ["journalctl", "-f", "-n", "0", "-o", "cat", "-u", UNIT]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._follow, daemon=True).start()

    def mark(self) -> int:
        """Return a place in the journal: now."""
        return len(self.lines)

    def wait(self, pattern: str, after: int) -> re.Match[str]:
        """Wait for a line that a pattern is found in; raises NotSo with the last lines."""
        limit_s = patience_s()
        end = time.monotonic() + limit_s
        looked = after
        with self._changed:
            while True:
                for line in self.lines[looked:]:
                    if found := re.search(pattern, line):
                        return found
                looked = len(self.lines)
                left_s = end - time.monotonic()
                if left_s <= 0:
                    raise NotSo(f"not in the journal within {limit_s:g} s: {pattern}")
                self._changed.wait(left_s)

    def since(self, after: int, pattern: str) -> list[str]:
        """Return the lines after a place that a pattern is found in."""
        return [line for line in self.lines[after:] if re.search(pattern, line)]

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()


class Service:
    """The unit, as systemd sees it."""

    def show(self, *names: str, unit: str = UNIT) -> dict[str, str]:
        """Return properties."""
        text = run("systemctl", "show", unit, "-p", ",".join(names))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def get(self, name: str) -> str:
        """Return one property."""
        return self.show(name)[name]

    @property
    def pid(self) -> int:
        """Return the main process."""
        return int(self.get("MainPID"))

    @property
    def restarts(self) -> int:
        """Return how often systemd has restarted it by itself."""
        return int(self.get("NRestarts"))

    def wait_ready(self) -> None:
        """Wait until it said READY, and was not started anew since."""
        running = {"ActiveState": "active", "SubState": "running"}
        wait_until(lambda: self.show("ActiveState", "SubState") == running, "the service is ready")

    def seconds(self, unit_start: str = "ExecMainStartTimestampMonotonic") -> float:
        """Return the time from the start of the process to READY."""
        found = self.show(unit_start, "ActiveEnterTimestampMonotonic")
        return (int(found["ActiveEnterTimestampMonotonic"]) - int(found[unit_start])) / 1e6


class Bench:
    """All of it."""

    def __init__(self, line: HostLine) -> None:
        self.line = line
        self.lines = Lines()
        self.camera = Camera()
        self.service = Service()
        self.journal = Journal()

    def look_at(self, pattern: str) -> None:
        """Point the camera, and wait until its next frames surely show it."""
        self.camera.show(pattern)
        time.sleep(1.0)

    def stored(self, group: str = "") -> list[dict[str, Any]]:
        """Return what a group has stored ("": the first): id, label, and the mean colour of the thumbnail."""
        folder = f"{STATE}/groups/{group}" if group else STATE
        found: list[dict[str, Any]] = json.loads(run(PYTHON, f"{GUEST}/peek.py", folder, user="edge-app"))
        return found

    def visits(self, *group: str) -> list[dict[str, Any]]:
        """Return the visits of the history, or of a group's, the oldest first; docs/history.md has their fields."""
        options = ["--group", *group] if group else []
        said = run(APP, "history", "--state", STATE, *options, "--json", "--limit", "0", user="edge-app")
        found: list[dict[str, Any]] = json.loads(said)["visits"]
        return sorted(found, key=lambda visit: visit["id"])

    def teach(self, button: str) -> re.Match[str]:
        """Press a class's button; return the journal's line once it is learnt."""
        mark = self.journal.mark()
        self.lines.press(button)
        return self.journal.wait(rf"learnt label={button} example=(\d+)", mark)

    def wait_lights(self, on: str | None, off: str) -> float:
        """Wait until a light is on and another off; return how long that took."""
        start = time.monotonic()
        wait_until(
            lambda: (on is None or self.lines.lit(on)) and not self.lines.lit(off), f"light {on} on, light {off} off"
        )
        return round(time.monotonic() - start, 2)

    def tells_apart(self) -> float:
        """Show both patterns in turn; return the longest time until the lights followed."""
        times = []
        for pattern, on, off in ((CHECKERS, "cat", "cup"), (RED, "cup", "cat"), (CHECKERS, "cat", "cup")):
            self.camera.show(pattern)
            times.append(self.wait_lights(on, off))
        return max(times)
