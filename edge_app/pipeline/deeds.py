"""What the teacher tells of: lessons, corrections, what was refused; and errands, which it carries out for others."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_app.storage.records import Action

if TYPE_CHECKING:
    from edge_app.pipeline.teaching import Teacher


class Lesson(NamedTuple):
    """An example was taught."""

    example: int
    """Its number in the store."""
    label: str
    before: str | None
    """What was decided before it was learnt; None: unknown."""
    confidence: float
    """Of that decision."""
    source: str
    sequence: int | None
    """The number of its frame; None where it was no frame of this camera."""


class Correction(NamedTuple):
    """Something was taken back or changed."""

    kind: str
    """undone, forgotten, relabelled, renamed, merged or imported."""
    action: Action
    source: str


class Refusal(NamedTuple):
    """What a person wanted could not be done; nothing was changed."""

    reason: str
    source: str


Deed = Lesson | Correction | Refusal


class Errand(NamedTuple):
    """Work for the teacher's thread, on behalf of someone who waits for its outcome."""

    work: "Callable[[Teacher], Any]"
    done: "Future[Any]"
    source: str
