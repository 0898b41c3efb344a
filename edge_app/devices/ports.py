"""The interfaces of cameras, buttons, indicators, outputs and clocks, for drivers and simulations alike."""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

from edge_app.errors import DeviceError
from edge_app.messages import Decision, Frame

NS_PER_S = 1_000_000_000


class CameraStalled(DeviceError):
    """No frame came within the time allowed; the camera is open, and may deliver again or need to be reopened."""


class CameraLoss(DeviceError):
    """Some of what the camera saw is lost, and reading goes on; told once."""


class ButtonEdge(NamedTuple):
    """A button went down or came up."""

    name: str
    pressed: bool
    """True: went down; False: came up."""
    time_ns: int
    """Monotonic clock at the edge, nanoseconds."""


Signal = Literal["learnt", "undone", "error"]
"""The meaning of a blink."""


@runtime_checkable
class Clock(Protocol):
    """Monotonic time, and waiting for it to pass."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since an arbitrary start; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once when they are zero or less."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s`."""


@runtime_checkable
class Camera(Protocol):
    """A source of frames, read by one thread. The newest frame wins; those that the reader misses are counted."""

    @property
    def uri(self) -> str:
        """Return the URI that names this camera in messages."""

    @property
    def dropped(self) -> int:
        """Return how many frames were produced and never read, over all openings."""

    @property
    def period_s(self) -> float:
        """Return the seconds between two frames; 0 where the camera does not say."""

    @property
    def repeats(self) -> bool:
        """Return whether equal frames in a row are in order, as in a recording; in other cameras they are a fault."""

    def open(self) -> None:
        """Start delivering frames; does nothing if open. Raises DeviceError."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet, waiting up to `timeout_s` seconds for one.

        The image is read-only. None: a recording has ended (a live camera never returns it). Raises CameraStalled when
        no frame came in time, CameraLoss when some of what was seen is lost, any other DeviceError when the camera is
        closed, gone or delivers something other than pictures; the caller may then close and open it again.
        """

    def close(self) -> None:
        """Stop and release the device; does nothing if closed. It can be opened again."""

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
        """Release the lines; does nothing if they are released."""

    def __enter__(self) -> Self:
        """Return the buttons."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""


@runtime_checkable
class Indicator(Protocol):
    """Lights, or anything else that shows a decision."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes that have a light of their own."""

    def show(self, decision: Decision) -> None:
        """Show a decision until the next one; its labels are the names of the lights."""

    def blink(self, signal: Signal) -> None:
        """Acknowledge a press."""

    def close(self) -> None:
        """Turn the lights off and release them; does nothing if that was done."""


@runtime_checkable
class Outputs(Protocol):
    """Named lines that switch something: a relay, a lamp, a lock."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the outputs' names."""

    def set(self, levels: Mapping[str, bool]) -> None:
        """Switch some outputs on or off; the others keep their level. Raises DeviceError when the lines are gone."""

    def close(self) -> None:
        """Release the lines as they are; does nothing if that was done."""
