"""The frame of a visit's best moment, reduced to what is stored of it."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.learner.pictures import thumbnail_of
from edge_app.pipeline.encode import Preprocess
from edge_app.pipeline.recent import RecentFrames

MOST_BYTES = 48 << 10
"""Size of a picture at most; the encoder's input as JPEG takes about 20 kB."""
QUALITIES = (90, 75, 50, 25)
"""Of JPEG: the first that keeps a picture within MOST_BYTES."""


class GrabbedFrame(NamedTuple):
    """A frame as the encoder saw it."""

    picture: NDArray[np.uint8]
    """The encoder's input, (side, side, 3), not shared."""
    embedding: NDArray[np.uint8]
    """(n,): that the frame was decided on."""


class FrameFinder(Protocol):
    """Finds the frames of decisions."""

    def grab(self, sequence: int, captured_ns: int) -> GrabbedFrame | None:
        """Return a frame by its number and time; None when it is not kept any more."""


class RecentFrameFinder:
    """The recent frames of a pipeline; for one thread."""

    def __init__(self, recent: RecentFrames, preprocess: Preprocess) -> None:
        """`preprocess` must not be shared."""
        self._recent = recent
        self._preprocess = preprocess

    def grab(self, sequence: int, captured_ns: int) -> GrabbedFrame | None:
        """Return a frame by its number and time; None when it is not kept any more."""
        frame, embedding = self._recent.numbered(sequence), self._recent.embedding_used(captured_ns)
        if frame is None or embedding is None:
            return None
        # the preprocessor's buffer is used again by the next call
        return GrabbedFrame(self._preprocess(frame.image).copy(), embedding)


def to_bounded_jpeg(picture: NDArray[np.uint8]) -> bytes | None:
    """Return a picture, (side, side, 3) uint8 RGB, as JPEG of at most MOST_BYTES; None if it cannot be so small."""
    for quality in QUALITIES:
        jpeg = thumbnail_of(picture, quality)
        if len(jpeg) <= MOST_BYTES:
            return jpeg
    return None
