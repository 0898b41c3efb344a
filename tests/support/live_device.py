"""`edge-app run` as a process of its own, for tests of the whole device."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Device:
    """`edge-app run` in a process of its own, which tells this one how it is."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        watchdog_s: float | None = 60.0,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start it; `before` is called in the new process first."""
        self.state = folder / "state"
        address = str(folder / "notify")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(address)
        self.manager.settimeout(120)
        environ = os.environ | {"NOTIFY_SOCKET": address}
        if watchdog_s is not None:
            environ["WATCHDOG_USEC"] = str(round(watchdog_s * 1e6))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_app", "run", "--state", str(self.state), *options],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )
        self.heard: list[dict[str, str]] = []

    def wait_for(self, name: str) -> None:
        while not self.heard or name not in self.heard[-1]:
            self.heard.append(dict(line.split("=", 1) for line in self.manager.recv(4096).decode().split("\n")))

    def wait_for_line(self, text: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"the process ended without a line with {text!r}")

    def wait_for_decision(self, *classes: str) -> dict[str, Any]:
        """Read decisions up to one among exactly these classes."""
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, ""):
            answer: dict[str, Any] = json.loads(line)
            if answer["spikes"].keys() == set(classes):
                return answer
        raise AssertionError(f"the process ended without a decision among {classes}")

    def end(self) -> tuple[str, str]:
        out, err = self.process.communicate(timeout=60)
        return out, err

    def close(self) -> None:
        self.manager.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
