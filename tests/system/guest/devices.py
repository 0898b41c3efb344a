"""The cameras (vivid) and the lines (gpio-sim) of the virtual device, and the hands that use them.

As a program it plugs both in, early at every boot, as if they were soldered.
"""

import fcntl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

BUTTONS = {"cup": 0, "cat": 1, "undo": 2}
LIGHTS = {"cup": 3, "cat": 4, "status": 5}
OUTPUTS = {"door": 6}
LINES = 8
LABEL = "bench"

CONFIGURED = Path("/sys/kernel/config/gpio-sim/bench")
VIVID = Path("/sys/bus/platform/drivers/vivid")
CAMERA, SECOND = "/dev/video0", "/dev/video1"
RED, CHECKERS = "100% Red", "16x16 Checkers"
"""Test patterns that a look at the mean colour of a picture tells apart."""

VIDIOC_QUERYCTRL, VIDIOC_QUERYMENU, VIDIOC_S_CTRL = 0xC0445624, 0xC02C5625, 0xC008561C
NEXT_CONTROL = 0x80000000


class Lines:
    """Buttons and lights; a level is looked at and changed where gpio-sim shows it in sysfs."""

    def plug_in(self) -> None:
        """Let the chip appear."""
        bank = CONFIGURED / "bank0"
        if not bank.is_dir():
            bank.mkdir(parents=True)
            (bank / "num_lines").write_text(str(LINES))
            (bank / "label").write_text(LABEL)
        (CONFIGURED / "live").write_text("1")

    def unplug(self) -> None:
        """Let the chip disappear."""
        (CONFIGURED / "live").write_text("0")

    @property
    def chip(self) -> str:
        """Return the path of the chip's device."""
        return f"/dev/{(CONFIGURED / 'bank0' / 'chip_name').read_text().strip()}"

    @property
    def folder(self) -> Path:
        """Return where the lines are in sysfs."""
        return Path("/sys/devices/platform", (CONFIGURED / "dev_name").read_text().strip(), Path(self.chip).name)

    def down(self, button: str) -> None:
        """Press a button, between its line and ground."""
        self._pull(button, "pull-down")

    def up(self, button: str) -> None:
        """Let a button go."""
        self._pull(button, "pull-up")

    def press(self, button: str, hold_s: float = 0.15) -> None:
        """Press a button and let it go."""
        self.down(button)
        time.sleep(hold_s)
        self.up(button)

    def lit(self, light: str) -> bool:
        """Return whether a light or an output is on."""
        return self.value(light).read_text().strip() == "1"

    def value(self, light: str) -> Path:
        """Return the file with the level of a light or an output."""
        return self.folder / f"sim_gpio{(LIGHTS | OUTPUTS)[light]}" / "value"

    def _pull(self, button: str, level: str) -> None:
        (self.folder / f"sim_gpio{BUTTONS[button]}" / "pull").write_text(level)


class Flashes:
    """Counts the flashes of the status light, or the pulses of an output, while it is used as a context manager."""

    QUIET_S = 1.0
    SHORTEST_S = 0.08
    """The shortest flash, and the shortest pause: those that say error."""

    def __init__(self, lines: Lines, light: str = "status") -> None:
        self._value = lines.value(light)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._last = time.monotonic()
        self.count = 0
        self.longest_gap_s = 0.0
        """Between two looks: what is shorter may have been missed."""

    def __enter__(self) -> Self:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def settled(self, limit_s: float = 600.0) -> None:
        """Wait until there was a flash, and then none for a while."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end and not (self.count and time.monotonic() - self._last > self.QUIET_S):
            time.sleep(0.05)

    def _watch(self) -> None:
        before, looked = self._read(), time.monotonic()
        while not self._stop.wait(0.004):
            now = self._read()
            self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - looked)
            looked = time.monotonic()
            self.count += now and not before
            if now != before:
                self._last = time.monotonic()
            before = now

    def _read(self) -> bool:
        return self._value.read_text().startswith("1")


class Camera:
    """The first camera's plug, and what it is pointed at."""

    def plug_in(self) -> None:
        """Let both cameras appear, which are one device of the platform."""
        (VIVID / "bind").write_text("vivid.0")

    def unplug(self) -> None:
        """Let both cameras disappear."""
        (VIVID / "unbind").write_text("vivid.0")

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Take this one away, as far as V4L2 tells: it cannot be read or opened; the other one stays."""
        with open(CAMERA, "rb+", buffering=0) as file:
            control, _ = _control(file.fileno(), b"Disconnect")
            fcntl.ioctl(file.fileno(), VIDIOC_S_CTRL, struct.pack("Ii", control, 1))
            yield
        # vivid registers it again when the last program has closed it

    def show(self, pattern: str) -> None:
        """Point the camera at one of vivid's test patterns."""
        with open(CAMERA, "rb+", buffering=0) as file:
            control, last = _control(file.fileno(), b"Test Pattern")
            entry = next(i for i in range(last + 1) if _menu(file.fileno(), control, i) == pattern.encode())
            fcntl.ioctl(file.fileno(), VIDIOC_S_CTRL, struct.pack("Ii", control, entry))


def _control(descriptor: int, name: bytes) -> tuple[int, int]:
    """Return a control's number and its largest value; struct v4l2_queryctrl in linux/videodev2.h."""
    number = 0
    while True:
        data = bytearray(struct.pack("I64x", number | NEXT_CONTROL))
        fcntl.ioctl(descriptor, VIDIOC_QUERYCTRL, data)
        number = struct.unpack_from("I", data)[0]
        if bytes(data[8:40]).split(b"\0")[0] == name:
            return number, struct.unpack_from("i", data, 44)[0]


def _menu(descriptor: int, control: int, index: int) -> bytes | None:
    """Return the name of a menu's entry; struct v4l2_querymenu."""
    data = bytearray(struct.pack("II36x", control, index))
    try:
        fcntl.ioctl(descriptor, VIDIOC_QUERYMENU, data)
    except OSError:
        return None
    return bytes(data[8:40]).split(b"\0")[0]


def main() -> None:
    """Plug everything in."""
    vivid = ["vivid", "n_devs=2", "node_types=0x1,0x1", "num_inputs=1,1", "input_types=0x00,0x00"]
    for module in (vivid, ["gpio-sim"]):
        subprocess.run(["modprobe", *module], check=True)
    Lines().plug_in()


if __name__ == "__main__":
    main()
