"""The base of cameras that deliver in real time: a thread takes every frame, a slot keeps the newest."""

import threading
from abc import abstractmethod
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices.ports import CameraStalled, Clock
from edge_app.devices.uri import without_password
from edge_app.errors import DeviceError, EdgeAppError
from edge_app.messages import Frame

STOP_S = 2.0
"""Seconds that `close` waits for the thread. A thread that hangs in a driver releases the device when it returns."""


class Packet(NamedTuple):
    """A frame as the device delivered it, not decoded yet."""

    data: Any
    time_ns: int
    """Monotonic clock at capture, nanoseconds."""
    missed: int = 0
    """Frames that the device delivered between the last packet and this one, and that are lost."""


class FrameSource(Protocol):
    """An opened device, used by one thread, except for `decode`."""

    def next(self) -> Packet | None:
        """Wait about a second for the next frame; None when none came. Raises DeviceError when the device is gone."""

    def decode(self, data: Any) -> NDArray[np.uint8]:
        """Return a packet's picture, uint8 (H, W, 3) RGB; raises DeviceError for anything but a picture. Any thread."""

    def interrupt(self) -> None:
        """Make a waiting `next` return early if the driver can. Any thread."""

    def close(self) -> None:
        """Release the device."""


class _Slot(NamedTuple):
    packet: Packet
    number: int


class _Feed:
    """One opening of a source: the thread that empties it, and the newest packet."""

    def __init__(self, uri: str, source: FrameSource) -> None:
        self.uri = uri
        self.changed = threading.Condition()
        self.newest: _Slot | None = None
        self.error: EdgeAppError | None = None
        self.produced = 0
        self.dropped = 0
        self.stopping = False
        self.source = source
        # a daemon: a thread that hangs in a driver must not keep the process alive
        self.thread = threading.Thread(target=self._run, name=f"camera {uri}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        error: EdgeAppError | None = None
        try:
            while not self.stopping:
                packet = self.source.next()
                if packet is not None:
                    self._put(packet)
        except CameraStalled as caught:
            # this thread has ended: to the reader the camera is gone, not silent for a while
            error = DeviceError(str(caught))
            error.__cause__ = caught
        except EdgeAppError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001  whatever a driver's library raises ends in the reader's thread
            error = DeviceError(f"{self.uri}: reading failed: {type(caught).__name__}: {caught}")
            error.__cause__ = caught
        finally:
            # by the thread that uses it: `next` may still be waiting in the driver when another one closes the camera
            self.source.close()
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def _put(self, packet: Packet) -> None:
        with self.changed:
            # a packet that is replaced was never read
            self.dropped += packet.missed + (self.newest is not None)
            self.produced += packet.missed
            self.newest = _Slot(packet, self.produced)
            self.produced += 1
            self.changed.notify_all()

    def take(self, timeout_s: float) -> _Slot | None:
        """Return the newest packet, None when none came in time; raises the error that ended the thread."""
        with self.changed:
            self.changed.wait_for(lambda: self.newest or self.error, timeout_s)
            slot, self.newest = self.newest, None
            # a frame that came before the error is handed out first
            if slot is None and self.error is not None:
                raise self.error
            return slot

    def stop(self) -> None:
        self.stopping = True
        self.source.interrupt()
        # bounded: a hanging driver must not stop the stage
        self.thread.join(STOP_S)


class LiveCamera(Opening):
    """A camera that delivers frames in real time, read or not.

    A frame is decoded when it is handed out, in the reader's thread: what is dropped costs no decoding. The clock gives
    the time stamps; waiting is in real time.
    """

    patience_s = 5.0
    """Seconds of silence after which the reader closes the camera (`stall_after_s` in [camera]). A driver whose wait
    cannot be ended early gives up by itself soon after that."""
    repeats = False
    period_s = 0.0

    def __init__(self, uri: str, clock: Clock) -> None:
        # from here on no message can show it
        self._uri = without_password(uri)
        self._clock = clock
        self._feed: _Feed | None = None
        self._produced = 0
        self._dropped = 0

    @property
    def uri(self) -> str:
        """Return the URI that names this camera in messages, without its password."""
        return self._uri

    @property
    def dropped(self) -> int:
        """Return how many frames were never read, over all openings."""
        return self._dropped + (self._feed.dropped if self._feed else 0)

    def open(self) -> None:
        """Start delivering; does nothing if open. Raises DeviceError, RuntimeMissing, InputError."""
        if self._feed is None:
            self._feed = _Feed(self._uri, self._connect())

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet; see `Camera.read`. Never None: a live camera does not end."""
        feed = self._feed
        if feed is None:
            raise DeviceError(f"{self._uri}: the camera is closed; open it before reading")
        slot = feed.take(timeout_s)
        if slot is None:
            # not an end: the reader decides how long it waits
            raise CameraStalled(f"{self._uri}: no frame within {timeout_s:g} s")
        image = np.ascontiguousarray(feed.source.decode(slot.packet.data))
        # frames are shared between threads without a copy
        image.flags.writeable = False
        return Frame(image, slot.packet.time_ns, self._produced + slot.number)

    def close(self) -> None:
        """Stop and release the device; does nothing if closed."""
        if self._feed is not None:
            feed, self._feed = self._feed, None
            feed.stop()
            self._produced += feed.produced
            self._dropped += feed.dropped

    @abstractmethod
    def _connect(self) -> FrameSource:
        """Open the device; raises DeviceError, RuntimeMissing, InputError."""
