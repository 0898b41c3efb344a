"""Recordings as cameras: a folder of pictures, or a video file; played at a rate, once or in a loop."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import Clock
from edge_app.devices.uri import Reader, read_flag, read_options, split_path
from edge_app.errors import DeviceError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Which files of a folder are pictures."""

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
        self._folder = folder
        self._loop = loop
        self._files: list[Path] = []

    def _start(self) -> None:
        try:
            files = [path for path in self._folder.iterdir() if path.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise DeviceError(f"{self.uri}: cannot read the folder: {error.strerror}") from error
        if not files:
            raise DeviceError(
                f"{self.uri}: no pictures in the folder; expected files that end in {', '.join(SUFFIXES)}"
            )
        self._files = sorted(files, key=_natural)

    def _stop(self) -> None:
        self._files = []

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8] | None:
        if tick >= len(self._files) and not self._loop:
            return None
        return self._decode(self._files[tick % len(self._files)])

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        import cv2

        try:
            data = np.fromfile(path, np.uint8)
        except OSError as error:
            raise DeviceError(f"{self.uri}: cannot read {path.name}: {error.strerror}") from error
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if bgr is None:
            raise DeviceError(f"{self.uri}: {path.name} is damaged or no picture; remove or replace it")
        return _rgb(bgr)


class VideoCamera(PacedCamera):
    """Plays a video file that OpenCV can read; at the file's own rate unless told otherwise."""

    def __init__(
        self, path: Path, clock: Clock, *, fps: float | None = None, loop: bool = False, uri: str | None = None
    ) -> None:
        self._path = path
        self._uri = uri or f"file:{path}"
        self._loop = loop
        super().__init__(self._uri, clock, self._own_rate() if fps is None else fps)
        self._video: Any = None
        self._position = 0
        self._shown = 0

    def _own_rate(self) -> float:
        import cv2

        video = self._capture()
        rate = float(video.get(cv2.CAP_PROP_FPS))
        video.release()
        return rate if 0.01 <= rate <= 1000 else 25.0

    def _capture(self) -> Any:
        import cv2

        if not self._path.is_file():
            raise DeviceError(f"{self._uri}: no such file")
        video = cv2.VideoCapture(str(self._path))
        if not video.isOpened():
            raise DeviceError(
                f"{self._uri}: OpenCV cannot read this as a video; convert it to MP4 (H.264) or AVI (MJPEG)"
            )
        return video

    def _start(self) -> None:
        self._video = self._capture()
        self._position = 0
        self._shown = 0

    def _stop(self) -> None:
        self._video.release()
        self._video = None

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8] | None:
        while self._position <= tick:
            if not self._video.grab():
                if not self._shown:
                    raise DeviceError(f"{self.uri}: the video has no frames that OpenCV can decode")
                if not self._loop:
                    return None
                self._video.release()
                self._video = self._capture()
                self._shown = 0
                continue
            self._shown += 1
            self._position += 1
        read, bgr = self._video.retrieve()
        if not read:
            raise DeviceError(f"{self.uri}: frame {tick} cannot be decoded; the file may be damaged")
        return _rgb(bgr)


def directory_from_uri(uri: str, clock: Clock) -> DirectoryCamera:
    """Make the camera of `dir:PATH`, `dir:PATH?fps=5,loop=yes`; raises InputError for a bad option."""
    path, text = split_path(uri)
    return DirectoryCamera(Path(path).expanduser(), clock, uri=uri, **read_options(uri, text, OPTIONS))


def video_from_uri(uri: str, clock: Clock) -> VideoCamera:
    """Make the camera of `file:VIDEO`, `file:VIDEO?fps=10,loop=yes`; raises InputError, DeviceError."""
    path, text = split_path(uri)
    return VideoCamera(Path(path).expanduser(), clock, uri=uri, **read_options(uri, text, OPTIONS))


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name.lower())]


def _rgb(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb
