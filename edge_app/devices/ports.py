"""The ports: what the program asks of a camera, buttons, an indicator and a clock, of drivers and fakes alike."""

import threading
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

from edge_app.errors import DeviceError
from edge_app.messages import Decision, Frame

NS_PER_S = 1_000_000_000


class CameraStalled(DeviceError):
    """No frame came within the time allowed; the camera is open, and may deliver again or need to be reopened."""


class ButtonEdge(NamedTuple):
    """A button went down or came up."""

    name: str
    pressed: bool
    """True: went down; False: came up."""
    time_ns: int
    """Monotonic clock at the edge, nanoseconds."""


Signal = Literal["learnt", "undone", "error"]
"""What a blink tells a person."""


@runtime_checkable
class Clock(Protocol):
    """Monotonic time, and waiting for it to pass."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since an arbitrary start; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once when they are zero or less."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False once `timeout_s` has passed without."""


@runtime_checkable
class Camera(Protocol):
    """A source of frames, read by one thread. Newest frame wins: what a slow reader misses is dropped and counted."""

    @property
    def uri(self) -> str:
        """Return the URI that names this camera in messages."""

    @property
    def dropped(self) -> int:
        """Return how many frames the camera has produced that nobody read, over all openings."""

    @property
    def period_s(self) -> float:
        """Return the seconds between two frames; 0 where the camera does not say."""

    @property
    def repeats(self) -> bool:
        """Return whether equal frames in a row are in order, as of a recording; elsewhere they are a fault."""

    def open(self) -> None:
        """Start delivering frames; nothing happens when it is open. Raises DeviceError."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet, waiting up to `timeout_s` seconds for one.

        The image is read-only. None: a recording has ended (a live camera never returns it). Raises CameraStalled when
        no frame came in time, any other DeviceError when the camera is closed, gone or delivers what is no picture; the
        caller may then close and open it again.
        """

    def close(self) -> None:
        """Stop and release the device; nothing happens when it is closed. It can be opened again."""

    def __enter__(self) -> Self:
        """Open, and return the camera."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""


@runtime_checkable
class Buttons(Protocol):
    """Named push-buttons."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the buttons' names."""

    def read(self, timeout_s: float) -> list[ButtonEdge]:
        """Return the edges since the last call, oldest first, waiting up to `timeout_s` seconds for the first.

        An empty list: nothing happened. A driver that sees no release (a terminal) reports it at the time of the press.
        Raises DeviceError when the buttons are closed or gone.
        """

    def close(self) -> None:
        """Release the lines; nothing happens when they are released."""

    def __enter__(self) -> Self:
        """Return the buttons."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""


@runtime_checkable
class Indicator(Protocol):
    """Lights, or whatever else tells a person what the device thinks."""

    def show(self, decision: Decision) -> None:
        """Show a decision until the next one."""

    def blink(self, signal: Signal) -> None:
        """Acknowledge something that a person did."""

    def close(self) -> None:
        """Put the lights out and release them; nothing happens when that was done."""
