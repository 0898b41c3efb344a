"""Detects pictures that a faulty camera delivers: black, noise, or the same bytes again."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DeviceError
from edge_app.messages import Frame

Verdict = Literal["good", "black", "noise", "repeated"]

BLACK_MEAN, BLACK_MAX = 6, 40
"""Largest mean and maximum of a black picture, levels of 255: a sensor in the dark still shows some noise."""
BLOCK = 64
"""Side of the patch that is tested for noise, pixels."""
ROUGH = 40
"""Noise has a larger mean difference between neighbouring pixels, in levels; random bytes have 85."""


class FrameInspector:
    """Classifies one frame after another.

    A lens blurs, so neighbouring pixels are more alike than distant ones; random bytes are not. A sensor is noisy, so
    two frames never have the same bytes.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None

    def judge(self, image: NDArray[np.uint8]) -> Verdict:
        """Return the verdict on an image, (height, width, 3) uint8."""
        last, self._last = self._last, image
        height, width = image.shape[:2]
        # a sample of 48 x 64 pixels: all of a large frame would take milliseconds
        rows, columns = max(1, height // 48), max(1, width // 64)
        sample = image[::rows, ::columns]
        if sample.mean() <= BLACK_MEAN and sample.max() <= BLACK_MAX:
            return "black"
        if last is not None and last.shape == image.shape:
            # the sample first: it tells almost all different frames apart
            same = np.array_equal(last[::rows, ::columns], sample) and np.array_equal(last, image)
            if same:
                return "repeated"
        return "noise" if _is_noise(image) else "good"

    def forget(self) -> None:
        """Forget the last frame, after the camera was reopened."""
        self._last = None


def check_form(frame: Frame, uri: str) -> None:
    """Raise DeviceError unless a frame is a uint8 RGB image."""
    image = frame.image
    right = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if right and image.shape[2] == 3 and min(image.shape[:2]) >= 2:
        return
    found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise DeviceError(f"{uri}: the camera delivered {found}, expected uint8 (height, width, 3)")


def _is_noise(image: NDArray[np.uint8]) -> bool:
    height, width = image.shape[:2]
    top, left = max(0, (height - BLOCK) // 2), max(0, (width - BLOCK) // 2)
    # green, which has most of the sensor's pixels; int16, because differences of uint8 wrap
    block = image[top : top + BLOCK, left : left + BLOCK, 1].astype(np.int16)
    far = block.shape[1] // 2
    near_difference = float(np.abs(block[:, 1:] - block[:, :-1]).mean())
    if near_difference < ROUGH:
        return False
    # a fine pattern is rough too, but neighbours differ as much as distant pixels in noise only
    return near_difference > 0.8 * float(np.abs(block[:, far:] - block[:, :-far]).mean())
