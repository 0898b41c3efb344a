"""CSI cameras of a Raspberry Pi: `picamera2:0?size=640x480,fps=30,ExposureTime=10000`.

libcamera and picamera2 belong to the system's Python: on Raspberry Pi OS Bookworm with numpy 1, which newer OpenCV and
LiteRT wheels do not share a process with. So the camera is a small process of the system's Python
(`picamera2_helper.py`) that hands frames over shared memory, and this side may have any Python and any numpy.
"""

import json
import mmap
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices import picamera2_helper as layout
from edge_app.devices.child import SYSTEM_PYTHON, Child
from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.uri import Reader, read_fps, read_options, read_size, split_options, split_scheme
from edge_app.errors import DeviceError, InputError

START_S = 7.0
"""Seconds until the helper must be ready: importing picamera2 takes several on a Raspberry Pi 3."""
PATIENCE_S = 0.25
"""Seconds that the thread waits for a frame before it checks whether to stop."""

Control = bool | int | float | list[float]


class Picamera2Camera(LiveCamera):
    """A camera of libcamera. Frames carry the sensor's time stamp.

    `controls` are libcamera's (ExposureTime, AnalogueGain, AfMode, ...). `python` runs the helper; `source`
    is "camera", or "test" for a moving picture that needs no camera.
    """

    def __init__(
        self,
        number: int,
        clock: Clock,
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 30.0,
        controls: Mapping[str, Control] | None = None,
        python: str = SYSTEM_PYTHON,
        source: str = "camera",
        uri: str | None = None,
    ) -> None:
        super().__init__(uri or f"picamera2:{number}", clock)
        self._python = python
        self._size = size
        self._options = {
            "camera": number, "size": size, "fps": fps, "controls": dict(controls or {}), "source": source,
        }  # fmt: skip

    def _connect(self) -> FrameSource:
        # no file and no name: the memory goes with its last user
        descriptor = os.memfd_create("edge-app-frames", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, layout.memory_bytes(self._size))
            options = json.dumps(self._options | {"descriptor": descriptor})
            # -I: files beside the helper must not shadow modules of the standard library
            child = Child([self._python, "-I", str(Path(layout.__file__)), options], keep=[descriptor])
            memory = mmap.mmap(descriptor, layout.memory_bytes(self._size))
        except OSError as error:
            raise DeviceError(f"{self._uri}: cannot start the camera's process: {error}") from error
        finally:
            # the mapping, and the helper's own descriptor, keep the memory
            os.close(descriptor)
        source = _HelperSource(self._uri, child, memory, self._size, self._clock)
        try:
            source.wait_until_ready()
        except BaseException:
            source.close()
            raise
        return source


class _HelperSource:
    def __init__(self, uri: str, child: Child, memory: mmap.mmap, size: tuple[int, int], clock: Clock) -> None:
        self._uri = uri
        self._child = child
        self._memory = memory
        self._size = size
        self._clock = clock
        self._seen = 0
        self._buffer = memoryview(bytearray(4096))

    @property
    def pid(self) -> int:
        """Return the helper's process number."""
        return self._child.pid

    def wait_until_ready(self) -> None:
        """Wait until the helper reports that it is ready. Raises DeviceError."""
        deadline_ns = self._clock.monotonic_ns() + round(START_S * NS_PER_S)
        said = b""
        while b"\n" not in said:
            if self._clock.monotonic_ns() > deadline_ns:
                raise DeviceError(f"{self._uri}: the camera's process is not ready within {START_S:g} s{self._words()}")
            said += self._hear()
        try:
            answer = json.loads(said.partition(b"\n")[0])
        except ValueError as error:
            raise DeviceError(f"{self._uri}: the camera's process said {said[:80]!r}") from error
        if "error" in answer:
            raise DeviceError(f"{self._uri}: {answer['error']}")

    def _hear(self) -> bytes:
        try:
            count = self._child.read_into(self._buffer, PATIENCE_S) or 0
        except EOFError:
            raise DeviceError(f"{self._uri}: the camera's process ended{self._words()}") from None
        return bytes(self._buffer[:count])

    def _words(self) -> str:
        lines = self._child.last_words()
        return f"; it said: {lines[-1]}" if lines else ""

    def next(self) -> Packet | None:
        # looked at before waiting: a frame may have come since the last one was copied
        (number,) = struct.unpack_from("=q", self._memory, 0)
        if number == self._seen:
            self._hear()
            (number,) = struct.unpack_from("=q", self._memory, 0)
        if number == self._seen:
            return None
        return self._copy(number)

    def _copy(self, number: int) -> Packet | None:
        """Return a frame; None when the helper has overwritten its slot meanwhile: a newer one is there."""
        start = layout.ALIGN + number % layout.SLOTS * layout.slot_bytes(self._size)
        _, time_ns = struct.unpack_from("=qq", self._memory, start)
        first = start + layout.ALIGN
        data = self._memory[first : first + 3 * self._size[0] * self._size[1]]
        (newest,) = struct.unpack_from("=q", self._memory, 0)
        # the helper may be writing this slot already: it does not wait for readers
        if newest >= number + layout.SLOTS - 1:
            return None
        missed, self._seen = number - self._seen - 1, number
        return Packet(data, time_ns, missed)

    def decode(self, data: Any) -> NDArray[np.uint8]:
        width, height = self._size
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    def interrupt(self) -> None:
        self._child.ask_to_end()

    def close(self) -> None:
        self._child.close()
        self._memory.close()


def _read_control(text: str) -> Control:
    words = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    # "," separates options
    if "+" in text:
        return [float(part) for part in text.split("+")]
    try:
        return int(text)
    except ValueError:
        return float(text)


def _read_source(text: str) -> str:
    if text not in ("camera", "test"):
        raise ValueError("expected camera or test")
    return text


def camera_from_uri(uri: str, clock: Clock) -> Picamera2Camera:
    """Make the camera of `picamera2:NUMBER?size=WxH,fps=N,python=PATH,source=test,CONTROL=VALUE`; raises InputError.

    The number is 0 where it is left out; a control begins with a capital letter, several values are joined by "+".
    """
    head, _, text = split_options(uri)
    number = split_scheme(head)[1] or "0"
    if not re.fullmatch(r"\d{1,2}", number):
        raise InputError(f"{uri!r}: {number!r} is not a camera number; expected picamera2:0 for the first")
    names = re.findall(r"(?:^|,)([A-Z][A-Za-z0-9]*)=", text)
    readers: dict[str, Reader] = {"size": read_size, "fps": read_fps, "python": str, "source": _read_source}
    options = read_options(uri, text, readers | dict.fromkeys(names, _read_control))
    controls = {name: options.pop(name) for name in names}
    return Picamera2Camera(int(number), clock, controls=controls, uri=uri, **options)
