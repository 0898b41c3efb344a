"""Keys of a terminal as buttons: `keyboard:1=cup,2=cat,u=undo`."""

import os
import select
import sys
from collections.abc import Mapping
from typing import Any

from edge_app.closing import Closing
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Clock
from edge_app.devices.uri import split_scheme
from edge_app.errors import DeviceError, InputError

POLL_S = 0.02
"""Seconds that one poll of the terminal blocks; a wait is a series of polls, so that it follows the given clock."""


class KeyboardButtons(Closing):
    """Buttons that are keys; other keys are ignored. A terminal does not report releases: they come with the press.

    The terminal is put into a mode that delivers each key at once, without echo (Ctrl-C still interrupts); `close`
    restores it. Raises DeviceError when the file descriptor is not a terminal.
    """

    def __init__(self, keys: Mapping[str, str], clock: Clock, *, descriptor: int | None = None) -> None:
        self._keys = dict(keys)
        self._clock = clock
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._saved: list[Any] | None = self._enter_key_mode()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the buttons' names."""
        return tuple(self._keys.values())

    def read(self, timeout_s: float) -> list[ButtonEdge]:
        """Return the keys pressed since the last call; see `Buttons.read`."""
        if self._saved is None:
            raise DeviceError("keyboard: the buttons are closed")
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * NS_PER_S)
        while True:
            left_s = (deadline_ns - self._clock.monotonic_ns()) / NS_PER_S
            edges = self._typed(max(0.0, min(POLL_S, left_s)))
            if edges or left_s <= 0:
                return edges

    def close(self) -> None:
        """Put the terminal back as it was."""
        if self._saved is not None:
            import termios

            # TCSADRAIN: what was printed is shown first, and what was typed is kept for the shell
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)
            self._saved = None

    def _enter_key_mode(self) -> list[Any]:
        try:
            import termios
            import tty
        except ImportError as error:
            raise DeviceError("keyboard: needs a POSIX terminal, which this system does not have") from error
        try:
            saved = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
        except (termios.error, OSError) as error:
            raise DeviceError(
                "keyboard: standard input is not a terminal; start edge-app in a terminal, without a pipe"
            ) from error
        return saved

    def _typed(self, wait_s: float) -> list[ButtonEdge]:
        ready, _, _ = select.select([self._descriptor], [], [], wait_s)
        if not ready:
            return []
        data = os.read(self._descriptor, 1024)
        if not data:
            raise DeviceError("keyboard: the terminal was closed")
        now_ns = self._clock.monotonic_ns()
        pressed = [self._keys[key] for key in data.decode(errors="replace") if key in self._keys]
        # a terminal reports no release: it comes with the press, so that a key cannot be held
        return [ButtonEdge(name, down, now_ns) for name in pressed for down in (True, False)]


def keyboard_from_uri(uri: str, clock: Clock) -> KeyboardButtons:
    """Take over the terminal for `keyboard:KEY=NAME,...`; raises InputError for a bad list, DeviceError."""
    keys: dict[str, str] = {}
    for part in filter(None, split_scheme(uri)[1].split(",")):
        key, equals, name = part.partition("=")
        if len(key) != 1 or not equals or not name:
            raise InputError(f"{uri!r}: {part!r} is not KEY=NAME with a single character for the key")
        if key in keys or name in keys.values():
            raise InputError(f"{uri!r}: {part!r} names a key or a button twice")
        keys[key] = name
    if not keys:
        raise InputError(f"{uri!r} names no key: expected for example keyboard:1=cup,2=cat,u=undo")
    return KeyboardButtons(keys, clock)
