"""A camera that is a function of the program: it returns one frame after another."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices.ports import Clock
from edge_app.errors import DeviceError, EdgeAppError
from edge_app.messages import Frame

ReadFrame = Callable[[], NDArray[np.uint8] | None]
"""Returns the next frame, RGB, (height, width, 3) uint8, when it is there; None after the last one."""


class FunctionCamera(Opening):
    """A camera that calls a function for each frame; the function sets the pace.

    The function may return the same array again, filled anew. It is called from one thread, and only while the camera
    is open. What it raises becomes a DeviceError.
    """

    period_s = 0.0
    dropped = 0
    repeats = True
    """Equal frames in a row are in order: no camera stands behind them that could hang."""

    def __init__(self, function: ReadFrame, clock: Clock, *, uri: str = "function:") -> None:
        self.uri = uri
        self._function = function
        self._clock = clock
        self._open = False
        self._sequence = -1

    def open(self) -> None:
        """Allow reading."""
        self._open = True

    def read(self, timeout_s: float) -> Frame | None:
        """Return the function's next frame, None after the last one. Raises DeviceError."""
        if not self._open:
            raise DeviceError(f"{self.uri} the camera is closed; open it before reading")
        try:
            image: Any = self._function()
        except EdgeAppError:  # the function may be built on a driver, whose errors already say what to do
            raise
        except Exception as error:
            raise DeviceError(f"{self.uri} the function that reads frames failed: {error!r}") from error
        if image is None:
            return None
        if not isinstance(image, np.ndarray):
            raise DeviceError(f"{self.uri} a frame is {type(image).__name__}, expected an array or None at the end")
        time_ns = self._clock.monotonic_ns()
        self._sequence += 1
        # copied: the function may fill the same array again
        image = np.array(image, order="C")
        image.flags.writeable = False
        return Frame(image, time_ns, self._sequence)

    def close(self) -> None:
        """Read no more; the function is not called."""
        self._open = False
