"""Commands: requests to change what was learnt. Buttons, page, API and MQTT put the same ones on one queue.

The teacher (teaching.py) takes them from the queue and carries them out, one at a time.
"""

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.messages import Frame
from edge_app.pipeline.recent import NoFrame
from edge_app.storage.records import Action

MAX_WAITING = 64
"""Commands that may wait in the queue: more than a person can press while the disk stores one."""


class TeachableFrame(NamedTuple):
    """A frame, reduced to the encoder's input."""

    sequence: int
    time_ns: int
    """Monotonic clock at capture."""
    picture: NDArray[np.uint8]
    """The encoder's input, (side, side, 3), not shared."""
    embedding: NDArray[np.uint8] | None
    """(n,); None: not encoded yet, or no longer kept."""
    thumbnail: None = None


class StoredPicture(NamedTuple):
    """A picture of an earlier time, as it was stored."""

    picture: NDArray[np.uint8]
    """The encoder's input, (side, side, 3)."""
    embedding: NDArray[np.uint8] | None
    """(n,); None: not of the encoder in use."""
    thumbnail: bytes
    """The same picture as JPEG."""
    sequence: None = None


Teachable = TeachableFrame | StoredPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    source: str
    """Who asks: "button NAME", "page", "API", "mqtt", ..."""
    place: str = ""
    """Where it was asked for."""
    done: "Future[Any] | None" = field(default=None, compare=False)
    """Receives the outcome: a list of Taught for the teaching commands, Corrected for the others; or the error."""


@dataclass(frozen=True, slots=True)
class Teach(_Command):
    """Teach the frame that the camera showed at a press."""

    label: str | None
    """None: a new class with a name that is not in use."""
    frame: Frame | NoFrame
    pressed_ns: int
    """Monotonic clock."""


@dataclass(frozen=True, slots=True)
class TeachPictures(_Command):
    """Teach pictures as examples of one class: all or none, as one action."""

    label: str
    pictures: tuple[Teachable, ...]
    asked_ns: int
    """Monotonic clock."""
    request: str | None = None
    """Mark of the request (16 hexadecimal digits), stored with the examples so that a retry is recognised."""


@dataclass(frozen=True, slots=True)
class Undo(_Command):
    """Take back the last action."""

    action: int | None = None
    """Only if its id is this one; None: whichever is the last."""


@dataclass(frozen=True, slots=True)
class RelabelExamples(_Command):
    """Give examples another class, as one action."""

    examples: tuple[int, ...]
    label: str


@dataclass(frozen=True, slots=True)
class ForgetExamples(_Command):
    """Forget examples, as one action."""

    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForgetClass(_Command):
    """Forget a class with all its examples."""

    label: str


@dataclass(frozen=True, slots=True)
class RenameClass(_Command):
    """Give a class a name that no other class has."""

    label: str
    to: str


@dataclass(frozen=True, slots=True)
class MergeClasses(_Command):
    """Move the examples of the class `label` to the class `into`."""

    label: str
    into: str


@dataclass(frozen=True, slots=True)
class FollowImport(_Command):
    """Score the stored examples anew, and announce an import that is stored already."""

    action: Action


Command = (
    Teach
    | TeachPictures
    | Undo
    | RelabelExamples
    | ForgetExamples
    | ForgetClass
    | RenameClass
    | MergeClasses
    | FollowImport
)


class CommandQueue:
    """Commands on their way to the teacher; safe to use from any thread."""

    def __init__(self) -> None:
        # deadlock
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._closed = threading.Event()

    def put(self, command: Command) -> bool:
        """Add a command; False if too many wait already, or the queue is closed."""
        # not exact when two threads put at once: one command more does no harm
        full = self._queue.qsize() >= MAX_WAITING
        if self._closed.is_set() or (full and not isinstance(command, FollowImport)):  # what is stored must be followed
            return False
        self._queue.put(command)
        return True

    def take(self, timeout_s: float) -> Command | None:
        """Return the oldest command, waiting up to `timeout_s` for one; None if there is none."""
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None

    @property
    def waiting(self) -> bool:
        """Whether commands wait."""
        return not self._queue.empty()

    def close(self) -> None:
        """Accept no more commands; those that wait can still be taken."""
        self._closed.set()

    @property
    def over(self) -> bool:
        """Whether the queue is closed and empty."""
        return self._closed.is_set() and self._queue.empty()
