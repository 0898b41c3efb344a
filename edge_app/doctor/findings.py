"""Findings of checks, and access to the system that they check."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from edge_app.errors import EdgeAppError

Status = Literal["ok", "warning", "failed"]


class Finding(NamedTuple):
    """One line of the report."""

    name: str
    status: Status
    detail: str
    advice: str = ""
    """The remedy; empty if there is nothing to do."""


Runner = Callable[[Sequence[str]], str | None]
"""Runs a program and returns its output; None if it is not installed or failed."""


class System(NamedTuple):
    """The machine to check: its files below `root`, its programs through `run`."""

    root: Path
    run: Runner

    def text(self, path: str) -> str | None:
        """Return a file's text without surrounding blanks and NUL bytes; None if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip(" \t\n\0")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number in a file; None if there is none."""
        try:
            # base 0: some files of the kernel are hexadecimal
            return int(self.text(path) or "", 0)
        except ValueError:
            return None


def run_program(command: Sequence[str], timeout_s: float = 60.0) -> str | None:
    """Run a program of the system; see `Runner`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    # what a program prints when it fails is no answer
    return done.stdout.strip() if done.returncode == 0 else None


def guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; an exception becomes a finding, so that the other checks still run."""
    try:
        yield from check()
    except EdgeAppError as error:  # its message contains the remedy
        yield Finding(name, "failed", str(error))
    except Exception as error:  # noqa: BLE001 a broken library may raise anything
        yield Finding(name, "failed", f"{type(error).__name__}: {str(error).strip()}", "see the libraries above")
