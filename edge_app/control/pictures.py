"""The live picture for clients: the part of the frame that the encoder sees, as JPEG, encoded once for all of them.

A frame that was shown to a client is kept for some seconds as the encoder's input, so that exactly this frame is taught
when the client's command arrives. Nothing is encoded or kept while no client asks.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.control.errors import FrameGone
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.messages import Frame
from edge_app.pipeline.commands import TeachableFrame
from edge_app.pipeline.encode import Preprocess
from edge_app.pipeline.recent import RecentFrames

SIDES = (320, 640, 1280)
"""Longest sides on offer; each is encoded only if a client asks for it."""
QUALITY = 75
KEEP_NS = 6 * NS_PER_S
KEEP_AT_MOST = 64
"""Frames kept, 150 kB each with the shipped encoder."""
TOO_OLD_NS = 2 * NS_PER_S
"""An older frame is not what the camera sees now."""

Crop = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""Frame (height, width, 3) and a longest side -> the part to show, no larger than that; uint8 RGB."""


class JpegFrame(NamedTuple):
    """A frame for people to look at."""

    sequence: int
    time_ns: int
    """Monotonic, at capture."""
    jpeg: bytes


class NewestPicture:
    """The newest frame as JPEG, of each size; safe to use from any thread."""

    def __init__(self, recent: RecentFrames, crop: Crop, clock: Clock, *, max_fps: float) -> None:
        """At most `max_fps` pictures a second are made of each size."""
        self._recent = recent
        self._crop = crop
        self.clock = clock
        """The clock of the frames' times."""
        self._period_ns = round(NS_PER_S / max_fps)
        # one per size: whoever waits gets the picture that the other has made
        self._encoding = {side: threading.Lock() for side in SIDES}
        self._newest: dict[int, JpegFrame] = {}
        self._made_ns: dict[int, int] = {}
        self.encoded = 0
        """JPEGs made since the start."""

    def newest(self, max_side: int = SIDES[1]) -> JpegFrame:
        """Return the newest frame, its longer side the largest of SIDES up to `max_side`. Raises FrameGone.

        The picture is at most 1/max_fps s older than the newest.
        """
        side = max((one for one in SIDES if one <= max_side), default=SIDES[0])
        with self._encoding[side]:
            known = self._newest.get(side)
            now_ns = self.clock.monotonic_ns()
            if known is not None and now_ns - self._made_ns[side] < self._period_ns:
                return known
            frame = self._recent.newer(-1, 0.0)
            if frame is None or now_ns - frame.time_ns > TOO_OLD_NS:
                raise FrameGone("the camera delivers no picture at the moment; the device's state says why")
            # no newer frame: the JPEG is still right
            if known is None or known.sequence != frame.sequence:
                known = JpegFrame(frame.sequence, frame.time_ns, to_jpeg(self._crop(frame.image, side)))
                self.encoded += 1
                self._newest[side] = known
                self._shown(frame)
            self._made_ns[side] = now_ns
            return known

    def _shown(self, frame: Frame) -> None:
        """Take note of a frame of which a JPEG was made."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the newest frame, pixels; None: there is none."""
        frame = self._recent.newer(-1, 0.0)
        if frame is None or self.clock.monotonic_ns() - frame.time_ns > TOO_OLD_NS:
            return None
        height, width = frame.image.shape[:2]
        return width, height


class Pictures(NewestPicture):
    """The newest frame of a place as JPEG, and the frames shown in the last seconds; safe to use from any thread."""

    def __init__(
        self, recent: RecentFrames, crop: Crop, preprocess: Preprocess, clock: Clock, *, max_fps: float
    ) -> None:
        """`preprocess` must not be shared."""
        super().__init__(recent, crop, clock, max_fps=max_fps)
        self._preprocess = preprocess
        self._guard = threading.Lock()
        self._kept: OrderedDict[int, TeachableFrame] = OrderedDict()

    @property
    def period_s(self) -> float:
        """The shortest time between two different pictures of one size."""
        return self._period_ns / NS_PER_S

    def await_newer(self, sequence: int, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for a frame other than `sequence`; return whether there is one."""
        return self._recent.newer(sequence, timeout_s) is not None

    def keep(self, sequence: int) -> None:
        """Keep a frame that a client was told of, if it is still there."""
        frame = self._recent.numbered(sequence)
        if frame is not None:
            self._keep(frame)

    def find(self, sequence: int | None) -> TeachableFrame:
        """Return a frame by its number, None: the newest, ready to be taught. Raises FrameGone."""
        if sequence is None:
            frame = self._recent.newer(-1, 0.0)
            if frame is None or self.clock.monotonic_ns() - frame.time_ns > TOO_OLD_NS:
                raise FrameGone("there is no frame to teach: the camera delivers no picture at the moment")
            return self._reduced(frame)
        with self._guard:
            seen = self._kept.get(sequence)
        if seen is not None:
            # looked up now: it may have been encoded since the frame was kept
            return seen._replace(embedding=self._recent.embedding(seen.time_ns))
        frame = self._recent.numbered(sequence)
        if frame is None:
            raise FrameGone(
                f"frame {sequence} is not kept any more, or was never shown: frames shown in the last "
                f"{KEEP_NS // NS_PER_S} s are kept. Nothing was taught"
            )
        return self._reduced(frame)

    def _shown(self, frame: Frame) -> None:
        # whoever sees the picture may teach it
        self._keep(frame)

    def _keep(self, frame: Frame) -> None:
        with self._guard:
            if frame.sequence in self._kept:
                return
        seen = self._reduced(frame)
        # looked at twice: two threads may have reduced the same frame, and the second replaces the first by its equal
        with self._guard:
            self._kept[frame.sequence] = seen
            oldest = next(iter(self._kept.values()))
            while len(self._kept) > KEEP_AT_MOST or seen.time_ns - oldest.time_ns > KEEP_NS:
                self._kept.popitem(last=False)
                oldest = next(iter(self._kept.values()))

    def _reduced(self, frame: Frame) -> TeachableFrame:
        with self._guard:
            # the preprocessor's buffer is shared with the next call
            picture = self._preprocess(frame.image).copy()
        return TeachableFrame(frame.sequence, frame.time_ns, picture, self._recent.embedding(frame.time_ns))


def scaled(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a whole picture, (height, width, 3), scaled down so that its longer side is at most `side`; a `Crop`."""
    import cv2

    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small: NDArray[np.uint8] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small


def to_jpeg(image: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """Return a picture, (height, width, 3) uint8 RGB, as JPEG."""
    import cv2

    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise FrameGone(f"a picture of shape {image.shape} cannot be encoded as JPEG")
    return bytes(data)
