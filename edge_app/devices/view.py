"""Region of interest, rotation and mirroring, the same for every camera: `roi=320x240+160+120,rotate=90,mirror=yes`."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices.ports import Camera
from edge_app.devices.uri import Reader, read_flag, read_options, split_options
from edge_app.errors import InputError
from edge_app.messages import Frame

ROTATIONS = (0, 90, 180, 270)


class Region(NamedTuple):
    """A rectangle in pixels of the camera's own picture, before rotation."""

    width: int
    height: int
    left: int
    top: int

    def __str__(self) -> str:
        """Return it as it is written in a URI."""
        return f"{self.width}x{self.height}+{self.left}+{self.top}"


class View(NamedTuple):
    """What becomes of a picture, in this order: cut out, turned, mirrored."""

    region: Region | None = None
    rotation: int = 0
    """Degrees clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Left and right change places."""

    def apply(self, image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Return the view of `image`, (H, W, 3) uint8, C-contiguous; `image` itself where nothing changes.

        Raises InputError that names the camera `name` when the region does not lie inside the picture.
        """
        import cv2

        if self.region is not None:
            image = self._cut(image, self.region, name)
        if self.rotation:
            codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
            image = cv2.rotate(image, codes[self.rotation])
        if self.mirrored:
            image = cv2.flip(image, 1)
        return np.ascontiguousarray(image)

    @staticmethod
    def _cut(image: NDArray[np.uint8], region: Region, name: str) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        if region.left + region.width > width or region.top + region.height > height:
            raise InputError(
                f"{name}: roi={region} does not lie inside the picture of {width}x{height} pixels; "
                "it is WIDTHxHEIGHT+LEFT+TOP, before rotation"
            )
        return image[region.top : region.top + region.height, region.left : region.left + region.width]


class ViewedCamera(Opening):
    """A camera seen through a view; all else is the camera's own."""

    def __init__(self, camera: Camera, view: View, uri: str) -> None:
        self._camera = camera
        self._view = view
        self._uri = uri

    @property
    def uri(self) -> str:
        """Return the URI with the view's options."""
        return self._uri

    @property
    def dropped(self) -> int:
        """Return how many frames nobody read."""
        return self._camera.dropped

    def open(self) -> None:
        """Open the camera; see `Camera.open`."""
        self._camera.open()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame as the view shows it; see `Camera.read`.

        Raises InputError when the region of interest does not lie inside the picture.
        """
        frame = self._camera.read(timeout_s)
        if frame is None:
            return None
        image = self._view.apply(frame.image, self._uri)
        image.flags.writeable = False
        return frame._replace(image=image)

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()


def split_view(uri: str) -> tuple[str, View]:
    """Return the URI without the options of the view, and the view; raises InputError for a bad value."""
    head, mark, text = split_options(uri)
    ours: list[str] = []
    theirs: list[str] = []
    for part in filter(None, text.split(",")):
        (ours if part.partition("=")[0] in OPTIONS else theirs).append(part)
    if not ours:
        return uri, View()
    values = read_options(uri, ",".join(ours), OPTIONS)
    rest = head + (mark if theirs or mark == ":" else "") + ",".join(theirs)
    return rest, View(values.get("roi"), values.get("rotate", 0), values.get("mirror", False))


def _read_region(text: str) -> Region:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5})", text)
    region = Region(*map(int, match.groups())) if match else None
    if region is None or not region.width or not region.height:
        raise ValueError("expected WIDTHxHEIGHT+LEFT+TOP in pixels, for example 320x240+160+120")
    return region


def _read_rotation(text: str) -> int:
    if text not in map(str, ROTATIONS):
        raise ValueError("expected 0, 90, 180 or 270 degrees clockwise")
    return int(text)


OPTIONS: dict[str, Reader] = {"roi": _read_region, "rotate": _read_rotation, "mirror": read_flag}
