"""Values that several parts of edge-app exchange. Immutable; images are RGB, times are monotonic nanoseconds."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Frame(NamedTuple):
    """One image from a camera."""

    image: NDArray[np.uint8]
    """(height, width, 3), RGB, C-contiguous; never written to after the camera returned it."""
    time_ns: int
    """Monotonic clock at capture, nanoseconds."""
    sequence: int
    """Number of the frame, counted by the camera; dropped frames have a number too."""


class Decision(NamedTuple):
    """The classifier's result for one presentation."""

    label: str | None
    """The class whose column spiked most; None means "unknown": no column spiked."""
    labels: tuple[str, ...]
    """The classes, in the order of the arrays below."""
    spikes: NDArray[np.int32]
    """(classes,): OUT spikes of each column, summed over the ensemble."""
    first_spike: NDArray[np.int32]
    """(classes,): step of the earliest OUT spike, 0..14; 15 if the column stayed silent."""
    margin: int
    """OUT spikes of the winning column minus those of the runner-up; 0 after a broken tie, and for "unknown"."""
    excitation: NDArray[np.int64]
    """(classes,): OUT spikes plus the remainder towards the next one, in 1/1024 of a threshold; over the ensemble."""
    novelty: int = 0
    """Distance from what was taught, in 1/1024 octave, high for a stranger; 0 where the rule does not tell."""
    separation: int = 0
    """How much further the next class is than the winning one, in 1/1024 octave."""
    learnt: int = 0
    """Examples that the winning column has learnt."""


class Report(Protocol):
    """Writes one log event; called for what matters to an operator, never once per frame."""

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        """Record `event` with its fields, at a level of the logging module."""
