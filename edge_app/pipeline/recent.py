"""The frames and embeddings of the last half second: finds the frame that was shown at a press.

The frames of the newest decisions are kept longer: on a slow machine a decision takes more than half a second.
"""

import threading
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S
from edge_app.devices.view import View
from edge_app.messages import Frame

KEEP_NS = NS_PER_S // 2
KEEP_BYTES = 48 << 20
MIN_FRAMES = 2
"""Kept whatever their size and age."""
MOST_HELD, LEAST_HELD = 4, 2
"""Frames that were given to the encoder: the one in it, the one that is being decided on, and those before."""
# about a second of them; each is small
EMBEDDINGS = 32
VIEWS = 8
"""Views of a place that are known: the present one, and earlier ones for frames that are still used."""


class NoFrame(NamedTuple):
    """There is no frame to teach."""

    reason: str
    """Why, and the way out where there is one."""


class RecentFrames:
    """The newest frames (by reference) and embeddings; bounded, and safe to use from any thread."""

    def __init__(self, *, keep_ns: int = KEEP_NS, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_ns = keep_ns
        self._keep_bytes = keep_bytes
        self._frames: deque[Frame] = deque()
        self._held: deque[Frame] = deque(maxlen=MOST_HELD)
        self._bytes = 0
        self._dropped = self._full = False
        """Whether any frame was dropped, and whether the last one was dropped for lack of room."""
        self._embeddings: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=EMBEDDINGS)
        self._added = threading.Condition()

    def add(self, frame: Frame) -> None:
        """Add the newest frame."""
        with self._added:
            self._frames.append(frame)
            self._bytes += frame.image.nbytes
            while len(self._frames) > MIN_FRAMES and (
                # MIN_FRAMES: with large frames the newest must still be there to teach
                self._bytes > self._keep_bytes or frame.time_ns - self._frames[0].time_ns > self._keep_ns
            ):
                self._dropped, self._full = True, self._bytes > self._keep_bytes
                self._bytes -= self._frames.popleft().image.nbytes
            self._added.notify_all()

    def newer(self, sequence: int, wait_s: float) -> Frame | None:
        """Return the newest frame other than `sequence`, waiting up to `wait_s` for one; None if there is none."""
        with self._added:
            self._added.wait_for(lambda: bool(self._frames) and self._frames[-1].sequence != sequence, wait_s)
            newest = self._frames[-1] if self._frames else None
            return newest if newest is not None and newest.sequence != sequence else None

    def hold(self, sequence: int) -> None:
        """Keep a frame that is about to be encoded until later ones have been: who follows its decision looks it up."""
        frame = self._find(sequence)
        if frame is None:
            return
        with self._added:
            self._held.append(frame)
            while len(self._held) > LEAST_HELD and sum(one.image.nbytes for one in self._held) > self._keep_bytes:
                self._held.popleft()

    def numbered(self, sequence: int) -> Frame | None:
        """Return the frame with that number, None if it is not kept."""
        return self._find(sequence)

    def _find(self, sequence: int) -> Frame | None:
        with self._added:
            # backwards: a frame that is asked for is one of the newest
            kept = chain(reversed(self._frames), reversed(self._held))
            return next((frame for frame in kept if frame.sequence == sequence), None)

    def add_embedding(self, time_ns: int, embedding: NDArray[np.uint8]) -> None:
        """Add the embedding of the frame captured at that time."""
        with self._added:
            self._embeddings.append((time_ns, embedding))

    def embedding(self, time_ns: int) -> NDArray[np.uint8] | None:
        """Return the embedding of the frame captured at that time, None if there is none."""
        with self._added:
            return next((values for time, values in reversed(self._embeddings) if time == time_ns), None)

    def embedding_used(self, time_ns: int) -> NDArray[np.uint8] | None:
        """Return the embedding that a frame captured at that time was decided on; None if it is not kept.

        That is its own, or of the last frame before it that was encoded: a picture that has not changed is not.
        """
        with self._added:
            return next((values for time, values in reversed(self._embeddings) if time <= time_ns), None)

    def at(self, time_ns: int, *, max_age_ns: int, wait_s: float) -> Frame | NoFrame:
        """Return the frame that was shown at a time: the newest that was captured no later.

        A frame arrives after its capture, so this waits up to `wait_s` for a later one, which proves the answer.
        Returns NoFrame if the frame is older than `max_age_ns`, no longer kept, or if there was none.
        """
        with self._added:
            self._added.wait_for(lambda: bool(self._frames) and self._frames[-1].time_ns > time_ns, wait_s)
            shown = next((frame for frame in reversed(self._frames) if frame.time_ns <= time_ns), None)
            if shown is None and self._frames:
                return self._missed(time_ns)
        if shown is None or time_ns - shown.time_ns > max_age_ns:
            return NoFrame(f"no frame was shown within {max_age_ns / NS_PER_S:g} s before the press")
        return shown

    def _missed(self, time_ns: int) -> NoFrame:
        """Return why the frame of a time before the oldest kept one is missing."""
        if not self._dropped:
            return NoFrame("the press came before the first frame")
        oldest, newest = self._frames[0], self._frames[-1]
        height, width = newest.image.shape[:2]
        late_ms, kept_ms = (newest.time_ns - time_ns) / 1e6, (newest.time_ns - oldest.time_ns) / 1e6
        cause = (
            f"more of {width} x {height} do not fit into the {self._keep_bytes >> 20} MB for them: let the camera "
            "deliver smaller ones (size in its URI)"
            if self._full
            else "the machine was too busy"
        )
        return NoFrame(
            "the frame that was shown at the press is not kept any more: the press was looked up "
            f"{late_ms:.0f} ms later, frames are kept for {kept_ms:.0f} ms; {cause}"
        )


class ViewSince(NamedTuple):
    """A view, and the frames that it holds for."""

    view: View
    since_ns: int
    """Those captured later, monotonic ns."""


class PlaceFrames(RecentFrames):
    """The recent frames of a camera as one of its places sees them, with that place's embeddings.

    Each frame is seen as the view was when it was captured, so that a picture always fits its embedding.
    """

    def __init__(self, frames: RecentFrames, view: View, now_ns: Callable[[], int]) -> None:
        """`now_ns` is the clock of the frames."""
        super().__init__()
        self._of_camera = frames
        self._now_ns = now_ns
        self._views = deque([ViewSince(view, -1)], maxlen=VIEWS)

    @property
    def view(self) -> View:
        """The part of the camera's picture that is used, from the next frame on; may be set at any time."""
        return self._views[-1].view

    @view.setter
    def view(self, view: View) -> None:
        # under the lock of `view_at`: a frame that was seen already was captured before this time
        with self._added:
            self._views.append(ViewSince(view, self._now_ns()))

    def view_at(self, time_ns: int) -> ViewSince:
        """Return the view of a frame captured at that time; of one that is too old, the oldest known."""
        with self._added:
            return next((one for one in reversed(self._views) if one.since_ns < time_ns), self._views[0])

    def newer(self, sequence: int, wait_s: float) -> Frame | None:
        """Return the newest frame other than `sequence`; see RecentFrames."""
        return self._seen(self._of_camera.newer(sequence, wait_s))

    def numbered(self, sequence: int) -> Frame | None:
        """Return the frame with that number, None if it is not kept."""
        return self._seen(self._find(sequence))

    def _find(self, sequence: int) -> Frame | None:
        # held by the place itself: each place decides on frames of its own
        return self._of_camera.numbered(sequence) or super()._find(sequence)

    def embedding_used(self, time_ns: int) -> NDArray[np.uint8] | None:
        """Return the embedding that a frame was decided on, None if it is not kept; see RecentFrames."""
        since_ns = self.view_at(time_ns).since_ns
        with self._added:
            return next((values for time, values in reversed(self._embeddings) if since_ns < time <= time_ns), None)

    def at(self, time_ns: int, *, max_age_ns: int, wait_s: float) -> Frame | NoFrame:
        """Return the frame that was shown at a time; see RecentFrames."""
        found = self._of_camera.at(time_ns, max_age_ns=max_age_ns, wait_s=wait_s)
        return found if isinstance(found, NoFrame) else self._seen(found)

    @overload
    def _seen(self, frame: Frame) -> Frame: ...
    @overload
    def _seen(self, frame: Frame | None) -> Frame | None: ...
    def _seen(self, frame: Frame | None) -> Frame | None:
        if frame is None:
            return None
        view = self.view_at(frame.time_ns).view
        return frame if view == View() else frame._replace(image=view.apply(frame.image))
