"""The base of cameras that produce their pictures on a schedule: simulations and recordings."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices.ports import NS_PER_S, CameraStalled, Clock
from edge_app.errors import DeviceError, InputError
from edge_app.messages import Frame

CATCH_UP_NS = NS_PER_S // 2
"""The longest time that a read spends on ticks that are due before it hands out the last of them."""


class PacedCamera(Opening):
    """A camera whose frame of tick i is due at opening time + i / fps on the clock it was given (`_due_ns`).

    A read hands out the newest frame that is due; earlier ones that were not read are dropped, but never the last one
    of a recording, however late the reader is. What this machine cannot decode in time is played later. With a
    simulated clock time stands still between reads, so nothing is ever dropped and every run sees the same frames.
    """

    def __init__(self, uri: str, clock: Clock, fps: float) -> None:
        if not 0.01 <= fps <= 1000:
            raise InputError(f"{uri}: fps = {fps:g}, expected 0.01 to 1000")
        self._uri = uri
        self._clock = clock
        self._period_ns = round(NS_PER_S / fps)
        self.repeats = False
        self._opened_ns: int | None = None
        self._tick = -1
        self._produced = 0
        self._dropped = 0

    @property
    def uri(self) -> str:
        """Return the URI that names this camera in messages."""
        return self._uri

    @property
    def dropped(self) -> int:
        """Return how many frames were due and never read."""
        return self._dropped

    @property
    def period_s(self) -> float:
        """Return the seconds between two frames."""
        return self._period_ns / NS_PER_S

    def open(self) -> None:
        """Start the clock of the recording or simulation. Raises DeviceError."""
        if self._opened_ns is None:
            self._start()
            self._opened_ns = self._clock.monotonic_ns()
            self._tick = -1

    def close(self) -> None:
        """Stop; opening again starts a recording anew."""
        if self._opened_ns is not None:
            self._opened_ns = None
            self._stop()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame that is due, None at the end of a recording; see `Camera.read`."""
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * NS_PER_S)
        while True:
            if self._opened_ns is None:
                raise DeviceError(f"{self._uri}: the camera is closed; open it before reading")
            opened_ns = self._opened_ns
            due = self._newest_due(opened_ns)
            if due is not None:
                tick, time_ns = due
                if self._is_past_end(tick):
                    return None
                image = self._image(tick, time_ns)
                image.flags.writeable = False
                return Frame(image, time_ns, self._produced - 1)
            now_ns = self._clock.monotonic_ns()
            next_ns = opened_ns + self._due_ns(self._tick + 1)
            # a read takes its whole timeout, as with a real camera
            if next_ns > deadline_ns:
                self._clock.sleep((deadline_ns - now_ns) / NS_PER_S)
                raise CameraStalled(f"{self._uri}: no frame within {timeout_s:g} s")
            self._clock.sleep((next_ns - now_ns) / NS_PER_S)

    def _newest_due(self, opened_ns: int) -> tuple[int, int] | None:
        """Advance to now; return the newest tick that produced a frame, and its time; None when none did."""
        newest = None
        now_ns = self._clock.monotonic_ns()
        # tick by tick, so that a simulated stall counts each frame
        while (time_ns := opened_ns + self._due_ns(self._tick + 1)) <= now_ns:
            if newest is not None and self._is_past_end(self._tick + 1):
                break
            self._tick += 1
            if self._produces(time_ns):
                self._produced += 1
                self._dropped += newest is not None
                newest = self._tick, time_ns
            reached_ns = self._clock.monotonic_ns()
            if newest is not None and reached_ns - now_ns > CATCH_UP_NS:
                # else each read would have more to make up for than the one before, and take ever longer
                self._opened_ns = opened_ns + reached_ns - time_ns
                break
        return newest

    def _due_ns(self, tick: int) -> int:
        """Return when a tick is due, nanoseconds after opening; asked in order, the newest one repeatedly."""
        return tick * self._period_ns

    @abstractmethod
    def _start(self) -> None:
        """Open the source of the pictures; raises DeviceError."""

    @abstractmethod
    def _stop(self) -> None:
        """Release it."""

    def _produces(self, time_ns: int) -> bool:
        """Return whether a frame is produced at `time_ns`; False while a simulated camera stalls."""
        return True

    def _is_past_end(self, tick: int) -> bool:
        """Return whether a recording has no picture for a tick any more; asked after `_due_ns` of that tick."""
        return False

    @abstractmethod
    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        """Return the picture of a tick, uint8 (H, W, 3) RGB and not shared."""
