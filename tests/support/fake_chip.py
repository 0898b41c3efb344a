"""A GPIO chip that stands for gpiod's: lines that are pulled, edges with time stamps, outputs that are remembered."""

import errno
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import gpiod


class FakeRequest:
    """Lines that were taken; `pull` moves an input, `written` are the outputs with their times by `clock`."""

    def __init__(self, config: dict[tuple[int, ...], gpiod.LineSettings], chip: "FakeChip") -> None:
        self.of_line = {line: settings for lines, settings in config.items() for line in lines}
        self.offsets, self.settings = next(iter(config.items()))
        self.chip = chip
        self.released = False
        self.broken = False
        self.written: list[tuple[int, dict[int, bool]]] = []
        self._events: list[Any] = []
        self._changed = threading.Condition()

    def pull(self, offset: int, high: bool, time_ns: int | None = None) -> None:
        rising = high != self.settings.active_low
        kind = gpiod.EdgeEvent.Type.RISING_EDGE if rising else gpiod.EdgeEvent.Type.FALLING_EDGE
        with self._changed:
            self._events.append(
                SimpleNamespace(line_offset=offset, event_type=kind, timestamp_ns=time_ns or time.monotonic_ns())
            )
            self._changed.notify_all()

    def wait_edge_events(self, timeout: timedelta) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._events or self.broken, timeout.total_seconds())
            return bool(self._events or self.broken)

    def read_edge_events(self) -> list[Any]:
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        with self._changed:
            events, self._events = self._events, []
        return events

    def set_values(self, values: dict[int, Any]) -> None:
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        levels = {line: value is gpiod.line.Value.ACTIVE for line, value in values.items()}
        self.written.append((self.chip.now_ns(), levels))

    def release(self) -> None:
        self.released = True


class FakeChip:
    """32 lines; line 4 is called GPIO4 and so on, line 9 is in use. `refusal` is what a request is refused with."""

    def __init__(self, now_ns: Any = time.monotonic_ns) -> None:
        self.now_ns = now_ns
        self.refusal: OSError | None = None
        self.requests: list[FakeRequest] = []

    def __enter__(self) -> "FakeChip":
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(num_lines=32, label="fake")

    def get_line_info(self, offset: int) -> SimpleNamespace:
        return SimpleNamespace(name=f"GPIO{offset}", used=offset == 9, consumer="spi0 CS1")

    def line_offset_from_id(self, name: str) -> int:
        if not name.startswith("GPIO"):
            raise OSError(errno.ENOENT, "No such file or directory")
        return int(name[4:])

    def request_lines(self, config: Any, consumer: str) -> FakeRequest:
        assert consumer == "edge-app"
        if self.refusal is not None:
            raise self.refusal
        self.requests.append(FakeRequest(config, self))
        return self.requests[-1]


def library_of(chip: FakeChip) -> SimpleNamespace:
    """Replaces the module gpiod: the module's own settings and constants, but this chip."""
    return SimpleNamespace(
        Chip=lambda path: chip, LineSettings=gpiod.LineSettings, line=gpiod.line, EdgeEvent=gpiod.EdgeEvent
    )
