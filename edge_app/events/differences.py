"""Events from the frames of an ordinary camera: changes of log brightness, with a memory for each pixel.

L = 256 log(v) in integers by a table, where v = max(R, G, B); linear up to v = 20, so that noise in the dark makes no
events (Hu, Liu and Delbruck 2021, "v2e: From Video Frames to Realistic DVS Events"). The memory M of a pixel is where
its last event left it:

    n = trunc((L - M) / threshold),    M <- M + n * threshold,    n > 0: n ON events    n < 0: -n OFF events
"""

import math

import numpy as np
from numpy.typing import NDArray

from edge_app.events.gradient import brightness

UNIT = 256
"""Steps of the table for a factor of e."""
LINEAR = 20
THRESHOLD = 0.2
"""Natural logarithm of the factor by which brightness must change: 22 %."""
_LOG = np.array(
    [round(UNIT * (math.log(v) if v > LINEAR else v * math.log(LINEAR) / LINEAR)) for v in range(256)], np.int16
)


class FrameDifferences:
    """Turns frames into numbers of events; the first frame, and one of another size, only fills the memory."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        """`threshold`: natural logarithm of a factor of brightness, 0.01 to 5; rounded to 1/256."""
        self._threshold = round(UNIT * threshold)
        self._memory: NDArray[np.int16] | None = None

    def events(self, frame: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return the numbers of events (2, H, W) since the last frame; `frame` is (H, W, 3) RGB."""
        level = _LOG[brightness(frame)]
        if self._memory is None or self._memory.shape != level.shape:
            self._memory = level
            return np.zeros((2, *level.shape), np.int16)
        change = level - self._memory
        fired = np.abs(change) // self._threshold
        counts = np.stack([np.where(change > 0, fired, 0), np.where(change < 0, fired, 0)])
        self._memory += (counts[0] - counts[1]) * np.int16(self._threshold)
        return counts

    def forget(self) -> None:
        """Let the next frame fill the memory."""
        self._memory = None
