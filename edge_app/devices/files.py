"""A folder of pictures as a camera; played at a rate, once or in a loop."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.listing import list_pictures
from edge_app.datasets.pictures import decode_image
from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import Clock
from edge_app.devices.uri import Reader, read_flag, read_options, split_path
from edge_app.errors import DeviceError, InputError
from edge_app.files import expanded

OPTIONS: dict[str, Reader] = {"fps": float, "loop": read_flag}


class DirectoryCamera(PacedCamera):
    """Shows the pictures of a folder in the natural order of their names (2.jpg before 10.jpg).

    The list is read when the camera is opened. A damaged picture raises DeviceError when its turn comes; the next read
    goes on with the next picture.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, fps: float = 2.0, loop: bool = False, uri: str | None = None
    ) -> None:
        super().__init__(uri or f"dir:{folder}", clock, fps)
        # a folder may hold equal pictures, and is no camera that could hang
        self.repeats = True
        self._folder = folder
        self._loop = loop
        self._files: list[Path] = []

    def _start(self) -> None:
        try:
            self._files = list_pictures(self._folder)
        except OSError as error:
            raise DeviceError(f"{self.uri}: cannot read the folder: {error.strerror}") from error
        except ValueError as error:  # a zero byte in the path
            raise DeviceError(f"{self.uri!r}: the folder is not a path: {error}") from error
        if not self._files:
            raise DeviceError(
                f"{self.uri}: no pictures in the folder; expected JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"
            )

    def _stop(self) -> None:
        self._files = []

    def _is_past_end(self, tick: int) -> bool:
        return tick >= len(self._files) and not self._loop

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        return self._decode(self._files[tick % len(self._files)])

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        try:
            return decode_image(path)
        except InputError as error:
            raise DeviceError(f"{error}; remove or replace it") from error


def directory_from_uri(uri: str, clock: Clock) -> DirectoryCamera:
    """Make the camera of `dir:PATH`, `dir:PATH?fps=5,loop=yes`; raises InputError for a bad option."""
    path, text = split_path(uri, OPTIONS)
    return DirectoryCamera(expanded(path), clock, uri=uri, **read_options(uri, text, OPTIONS))
