"""A video file as a camera: played at the pace of its own time stamps, or at a rate, once or in a loop."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.streams import codec_of
from edge_app.devices.uri import Reader, read_flag, read_options, split_path
from edge_app.errors import DeviceError, InputError
from edge_app.files import expanded, open_to_read

DEFAULT_FPS = 25.0
"""Pace of a video without usable time stamps."""
LONGEST_GAP_S = 10.0
"""Frames further apart are played this far apart: recorders write such gaps when their clock was set."""
OPTIONS: dict[str, Reader] = {"fps": float, "loop": read_flag}


class VideoCamera(PacedCamera):
    """Plays a video file that OpenCV can decode; `fps` None: each frame when its time stamp says.

    Matroska and FLV declare the resolution of their time stamps as a rate (1000 frames/s), and recorders write frames
    at uneven distances, so a declared rate is not used.
    """

    def __init__(
        self, path: Path, clock: Clock, *, fps: float | None = None, loop: bool = False, uri: str | None = None
    ) -> None:
        super().__init__(uri or f"file:{path}", clock, DEFAULT_FPS if fps is None else fps)
        self.repeats = True
        self._path = path
        self._own_pace = fps is None
        self._loop = loop
        self._video: Any = None
        self._tick_grabbed = -1
        self._grabbed_ns = 0
        self._stamp_ns = 0
        self._end: int | None = None
        self._held: tuple[int, NDArray[np.uint8] | None] = (-1, None)

    def _start(self) -> None:
        self._video = self._open_video()
        self._tick_grabbed, self._grabbed_ns, self._end = -1, 0, None
        if not self._video.grab():
            codec = codec_of(self._video)
            self._stop()
            raise DeviceError(
                f"{self.uri}: the video has no frame that OpenCV can decode; it is {codec}. Convert it: "
                f"ffmpeg -i {self._path.name} -c:v libx264 -pix_fmt yuv420p {self._path.stem}-h264.mp4"
            )
        self._tick_grabbed = 0
        self._stamp_ns = self._stamp()
        self._held = (-1, None)

    def _stop(self) -> None:
        self._video.release()
        self._video = None

    def _open_video(self) -> Any:
        import cv2

        try:
            open_to_read(self._path).close()
        except InputError as error:
            raise DeviceError(f"{self.uri}: {error}") from error
        video = cv2.VideoCapture(str(self._path))
        if not video.isOpened():
            video.release()
            raise DeviceError(
                f"{self.uri}: OpenCV cannot read this as a video; convert it to MP4 (H.264) or AVI (MJPEG)"
            )
        return video

    def _stamp(self) -> int:
        import cv2

        stamp_ms = float(self._video.get(cv2.CAP_PROP_POS_MSEC))
        # some containers give absurd values for frames without a time stamp
        return round(stamp_ms * 1e6) if abs(stamp_ms) < 1e12 else 0

    def _due_ns(self, tick: int) -> int:
        while self._tick_grabbed < tick and self._end is None:
            self._grab_next()
        if not self._own_pace:
            return super()._due_ns(tick)
        return self._grabbed_ns + (tick - self._tick_grabbed) * self._period_ns  # beyond the end the schedule goes on

    def _grab_next(self) -> None:
        """Move on by one frame; OpenCV then has only the new one, so the one before is kept."""
        # the time of the next frame is known only when it has been grabbed
        self._held = (self._tick_grabbed, self._retrieve())
        gap_ns = self._period_ns
        if self._video.grab():
            before_ns, self._stamp_ns = self._stamp_ns, self._stamp()
            if self._stamp_ns - before_ns > 0:
                gap_ns = min(self._stamp_ns - before_ns, round(LONGEST_GAP_S * NS_PER_S))
        elif self._loop:
            self._video.release()
            self._video = self._open_video()
            if not self._video.grab():
                raise DeviceError(f"{self.uri}: the video can no longer be decoded; was the file changed?")
            self._stamp_ns = self._stamp()
        else:
            self._end = self._tick_grabbed + 1
        self._tick_grabbed += 1
        self._grabbed_ns += gap_ns

    def _is_past_end(self, tick: int) -> bool:
        return self._end is not None and tick >= self._end

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        held, image = self._held
        image = image if tick == held else self._retrieve()
        if image is None:
            raise DeviceError(f"{self.uri}: frame {tick} cannot be decoded; the file may be damaged")
        return image

    def _retrieve(self) -> NDArray[np.uint8] | None:
        import cv2

        read, bgr = self._video.retrieve()
        if not read:
            return None
        rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return rgb


def video_from_uri(uri: str, clock: Clock) -> VideoCamera:
    """Make the camera of `file:VIDEO`, `file:VIDEO?fps=10,loop=yes`; raises InputError."""
    path, text = split_path(uri, OPTIONS)
    return VideoCamera(expanded(path), clock, uri=uri, **read_options(uri, text, OPTIONS))
