"""Region of interest, rotation and mirroring, the same for every camera."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices.ports import Camera
from edge_app.messages import Frame


class Region(NamedTuple):
    """A rectangle of the camera's own picture, before rotation, as fractions of its width and height."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


class View(NamedTuple):
    """How a picture is changed, in this order: cropped, rotated, mirrored. The configuration checks the values."""

    region: Region = Region()
    rotation: int = 0
    """Degrees clockwise: 0, 90, 180 or 270."""
    mirror: bool = False
    """Swap left and right."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of `image`, (height, width, 3) uint8, C-contiguous; `image` itself where nothing changes."""
        # a cropped picture is a view of the camera's whole frame, and would keep it in memory
        return np.ascontiguousarray(self.crop(image))

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the same with rows at any stride: without rotation and mirroring nothing is copied."""
        import cv2

        if self.region != Region():
            top, bottom = _span(self.region.y, self.region.height, image.shape[0])
            left, right = _span(self.region.x, self.region.width, image.shape[1])
            image = image[top:bottom, left:right]
        if self.rotation:
            codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
            image = cv2.rotate(image, codes[self.rotation])
        if self.mirror:
            image = cv2.flip(image, 1)
        return image


class ViewedCamera(Opening):
    """A camera whose frames are changed by a view."""

    def __init__(self, camera: Camera, view: View) -> None:
        self._camera = camera
        self._view = view

    @property
    def uri(self) -> str:
        """Return the camera's URI."""
        return self._camera.uri

    @property
    def dropped(self) -> int:
        """Return how many frames were never read."""
        return self._camera.dropped

    @property
    def period_s(self) -> float:
        """Return the seconds between two frames; see `Camera.period_s`."""
        return self._camera.period_s

    @property
    def repeats(self) -> bool:
        """Return whether equal frames are in order; see `Camera.repeats`."""
        return self._camera.repeats

    def open(self) -> None:
        """Open the camera; see `Camera.open`."""
        self._camera.open()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame as the view shows it; see `Camera.read`."""
        frame = self._camera.read(timeout_s)
        if frame is None:
            return None
        image = self._view.apply(frame.image)
        image.flags.writeable = False
        return frame._replace(image=image)

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """Return the range of pixels, first and end, of a part of an axis; at least one pixel long."""
    first = min(int(start * pixels), pixels - 1)
    # one pixel at least: a narrow region of a small picture must not be empty
    return first, max(first + 1, min(round((start + length) * pixels), pixels))
