"""The vocabulary: what the parts of edge-app hand to one another. Immutable; images are RGB, times are monotonic ns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Frame(NamedTuple):
    """One picture from a camera."""

    image: NDArray[np.uint8]
    """(height, width, 3), RGB, C-contiguous, not written to after the camera handed it out."""
    time_ns: int
    """Monotonic clock at capture, nanoseconds."""
    sequence: int
    """Counts the frames that the camera produced, those that were dropped too."""


class Embedding(NamedTuple):
    """What the encoder makes of a frame."""

    values: NDArray[np.uint8]
    """(n,): quantised activations; real value = scale * (value - zero_point), both in the model's manifest."""
    time_ns: int
    """The frame's time."""


class SpikeCounts(NamedTuple):
    """An embedding as the classifier is shown it."""

    values: NDArray[np.uint8]
    """(n_inputs,): spikes per input in one presentation, 0..T."""
    time_ns: int
    """The frame's time."""


class Decision(NamedTuple):
    """The classifier's answer to one presentation."""

    label: str | None
    """The class whose column spiked most; None means "unknown": no column spiked."""
    labels: tuple[str, ...]
    """The classes, in the order of the arrays below."""
    spikes: NDArray[np.int32]
    """(classes,): OUT spikes of each column, summed over the ensemble."""
    first_spike: NDArray[np.int32]
    """(classes,): step of the earliest OUT spike, 0..14; 15 where the column stayed silent."""
    margin: int
    """Lead of the winning column over the runner-up in OUT spikes; 0 when a tie was broken, or for "unknown"."""
    excitation: NDArray[np.int64]
    """(classes,): OUT spikes, and what was left towards the next, in 1/1024 of a threshold; over the ensemble."""


class LabelEvent(NamedTuple):
    """A person said what a frame shows."""

    label: str
    time_ns: int
    """When they said it (monotonic): the frame shown at this time is the one that is taught."""
    source: str
    """Where it came from: a button's name, "file", "keyboard", ..."""
