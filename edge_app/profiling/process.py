"""`edge-app run` as a child process that is measured from outside. Linux only: the figures come from /proc."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_app.errors import EdgeAppError

START_S = 120.0
STOP_S = 30.0


def look_at(pid: int) -> dict[str, Any]:
    """Return what a process takes, as JSON values.

    Memory in MB (2^20 bytes): `rss_mb` resident, `pss_mb` with what it shares divided among the sharers, `private_mb`;
    `threads`, open `files`, `cpu_s` seconds of processor so far, and the machine's `load` of the last minute.
    """
    folder = Path("/proc") / str(pid)
    # smaps_rollup: its Pss divides shared pages among their users
    kilobytes = dict(re.findall(r"^(\w+):\s+(\d+) kB", (folder / "smaps_rollup").read_text(), re.MULTILINE))
    # after the last parenthesis: a program's name may hold blanks and parentheses
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return {
        "rss_mb": int(kilobytes["Rss"]) / 1024,
        "pss_mb": int(kilobytes["Pss"]) / 1024,
        "private_mb": (int(kilobytes["Private_Clean"]) + int(kilobytes["Private_Dirty"])) / 1024,
        "threads": int(fields[17]),
        "files": len(list((folder / "fd").iterdir())),
        "cpu_s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        "load": os.getloadavg()[0],
    }


@contextlib.contextmanager
def running(*options: str) -> Iterator["RunningDevice"]:
    """Run `edge-app run` with these options, from its first decision on. Raises EdgeAppError when it does not start."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "edge_app", "run", *options], stderr=subprocess.PIPE, text=True
    ) as process:
        device = RunningDevice(process)
        try:
            device.wait_for("ready", START_S)
            yield device
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            device.close()


class RunningDevice:
    """The process, and the events that it logs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self.events: dict[str, int] = {}
        """Number of log lines of each event."""
        self._stream = process.stderr
        self._words: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        # a full pipe of messages would stop the process that is measured
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, event: str, timeout_s: float, times: int = 1) -> None:
        """Return once an event was told so many times. Raises EdgeAppError when it was not in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.events.get(event, 0) >= times, timeout_s)
            if self.events.get(event, 0) < times:
                said = "".join(self._words[-10:]).strip()
                raise EdgeAppError(f"edge-app run told no {event!r} within {timeout_s:g} s; its last words: {said}")

    def look(self) -> dict[str, Any]:
        """Return what it takes now; see `look_at`."""
        return look_at(self.pid)

    def close(self) -> None:
        """Take in the last words of a process that has ended."""
        self._reader.join()

    def _read(self) -> None:
        assert self._stream is not None
        for line in self._stream:
            found = re.match(r"\d\d:\d\d:\d\d \w+ +(\w+)", line)
            with self._changed:
                self._words = [*self._words[-20:], line]
                if found:
                    self.events[found[1]] = self.events.get(found[1], 0) + 1
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
