"""The second and third stage: newest frame -> model input, at the configured rate -> embedding."""

import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import Clock
from edge_app.devices.view import View
from edge_app.messages import Frame
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import ChangeDetector, Pace
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.stage import SLICE_S

Preprocess = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Frame (height, width, 3) -> model input (side, side, 3), uint8; the next call may overwrite it."""


class FrameEncoder(Protocol):
    """An encoder, called from several threads. Tests use one that needs no model."""

    def encode(self, image: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """Return the embedding, uint8 (n,), of a model input, (side, side, 3) uint8."""


class PreparedFrame(NamedTuple):
    """The encoder's input made from a frame."""

    time_ns: int
    """When the frame was captured."""
    sequence: int
    picture: NDArray[np.uint8]
    """(side, side, 3), not shared."""


class EncodedFrame(NamedTuple):
    """The embedding of a frame."""

    time_ns: int
    """When the frame was captured."""
    sequence: int
    embedding: NDArray[np.uint8]
    fresh: bool
    """False: the picture has not changed, so this is the embedding of an earlier frame."""
    waited_ns: int = 0
    """From capture until the encoder took it."""


class Prepare:
    """Newest frame -> newest model input, at the configured rate. In a thread of its own: the encoder sets the pace."""

    name = "prepare"
    longest_wait_s = 5.0

    def __init__(
        self,
        frames: Latest[Frame],
        prepared: Latest[PreparedFrame],
        preprocess: Preprocess,
        pace: Pace,
        clock: Clock,
        stop: threading.Event,
        view_at: Callable[[int], View] = lambda _: View(),
    ) -> None:
        """`view_at` returns the part that is used of a frame captured at that time; it may change meanwhile."""
        self._view_at = view_at
        self._frames = frames
        self._out = prepared
        self._preprocess = preprocess
        self._pace = pace
        self._clock = clock
        self._stop = stop

    @property
    def dropped(self) -> int:
        """Pictures replaced by newer ones before the encoder took them."""
        return self._out.dropped

    @property
    def displaced(self) -> int:
        """Frames replaced by newer ones before they were prepared."""
        return self._frames.dropped

    def due_in_s(self) -> float | None:
        """Return the seconds until there is a frame to prepare; see in_turn.py."""
        if not self._frames.ready:
            return None
        return 0.0 if self._frames.over else min(max(0.0, self._pace.wait_s()), SLICE_S)

    def step(self) -> bool:
        """Prepare the newest frame, or wait for one; False once there will be none."""
        wait_s = self._pace.wait_s()
        # at the end of a recording the last frame is not waited for
        if wait_s > 0 and not self._frames.over:
            self._clock.wait(self._stop, min(wait_s, SLICE_S))
            return True
        frame = self._frames.take(SLICE_S)
        if frame is None:
            if self._frames.over:
                self._out.close()
                return False
            return True
        self._pace.took()
        # copied: the preprocessor overwrites its buffer while the encoder still reads
        picture = self._preprocess(self._view_at(frame.time_ns).crop(frame.image)).copy()
        self._out.put(PreparedFrame(frame.time_ns, frame.sequence, picture))
        return True


class Encode:
    """Newest model input -> newest embedding."""

    name = "encode"
    longest_wait_s = 5.0

    def __init__(
        self,
        prepared: Latest[PreparedFrame],
        encoded: Latest[EncodedFrame],
        encoder: FrameEncoder,
        recent: RecentFrames,
        pace: Pace,
        clock: Clock,
        observe: Callable[[NDArray[np.uint8]], None] = lambda _: None,
        since: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """`observe` is called with every picture, encoded or not; `since` says when the view of a frame was set."""
        self._observe = observe
        self._since = since
        self._clock = clock
        self._prepared = prepared
        self._out = encoded
        self._encoder = encoder
        self._recent = recent
        self._pace = pace
        self._detector = ChangeDetector()
        self._embedding: NDArray[np.uint8] | None = None
        self._encoded_since = 0
        self.encoded = 0
        """Frames encoded."""
        self.skipped = 0
        """Frames not encoded because the picture had not changed."""

    def due_in_s(self) -> float | None:
        """Return 0 if there is a picture to encode, else None; see in_turn.py."""
        return 0.0 if self._prepared.ready else None

    def step(self) -> bool:
        """Encode the newest picture, or wait for one; False once there will be none."""
        prepared = self._prepared.take(SLICE_S)
        if prepared is None:
            if self._prepared.over:
                self._out.close()
                return False
            return True
        self._recent.hold(prepared.sequence)
        waited_ns = self._clock.monotonic_ns() - prepared.time_ns
        # before the comparison: consolidation has a threshold of its own
        self._observe(prepared.picture)
        embedding = self._embedding
        # compared here, with the last encoded picture: a changed one may have been replaced on its way
        fresh = self._detector.changed(prepared.picture, self._pace.config.idle.threshold)
        since = self._since(prepared.time_ns)
        if since != self._encoded_since:  # the place is another part of the picture now, however alike it is
            self._encoded_since, fresh = since, True
        self._pace.saw(prepared.time_ns, fresh)
        if embedding is None or fresh:
            embedding = self._embedding = self._encoder.encode(prepared.picture)
            self.encoded += 1
            # kept, so that a press on this frame need not encode it again
            self._recent.add_embedding(prepared.time_ns, embedding)
        else:
            self.skipped += 1
        self._out.put(EncodedFrame(prepared.time_ns, prepared.sequence, embedding, fresh, waited_ns))
        return True
