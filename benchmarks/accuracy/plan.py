"""The plan of the accuracy benchmark: data sets, shots, repeats and protocols."""

from typing import NamedTuple

SHOTS: tuple[int | None, ...] = (None, 1, 5, 10, 20)
"""None: all examples."""


class PlannedSet(NamedTuple):
    """A data set and its measurements."""

    name: str
    file: str
    shots: tuple[int | None, ...]
    repeats: int
    official_split: bool
    """Whether the same images are learnt in every repeat of the `all` row, in another order."""
    per_task: int
    """Classes of a task in the continual protocol."""
    rehearse: int
    """Examples kept for rehearsal: about two a class."""
    limit: int | None = None
    """Images of a class, in the continual and the noisy protocol."""


SETS = (
    PlannedSet("sign_digits", "sign_digits.zip", (None, 1, 5, 10, 20), 5, False, 1, 20),
    PlannedSet("grocery", "grocery.zip", (None, 1, 5, 10), 5, True, 9, 162),
    PlannedSet("imagenet64", "imagenet64.zip", (None, 1, 5, 10), 3, True, 8, 128, 60),
)
DREAMS = 1
"""Dreams of each example after which every row is tested once more."""
NOISE = (0.1, 0.2)
NEWCOMERS = 5
NEWCOMER_SHOTS = 10
OPENSET_REPEATS = 12
"""Halves of the classes. With five, false accepts at 95 % true accepts change by several points with the choice."""
STRANGERS: dict[str, tuple[tuple[int, int], ...]] = {
    "sign_digits": ((5, 5),),
    "grocery": ((10, 5), (40, 10)),
    "imagenet64": ((4, 5), (10, 5), (32, 10)),
}
"""data set -> (classes, shots) that are taught before strangers are shown."""
STRANGER_REPEATS = 5
STRANGER_IMAGES = 500
"""Images of each kind of stranger, at most."""
PHOTOGRAPHS = "imagenet_samples.zip"
"""Generic photographs: strangers."""
DEMO_SEEDS = range(6)
"""Runs of the demo that are counted."""
PRESETS = ("paper", "paper-b", "mnist")
"""Published parameters, measured beside the default on sign_digits."""
PRESET_LIMIT = 60
"""Images of a class in their continual protocol: 15 members are slow."""
PRESET_SHOTS: tuple[int | None, ...] = (None, 10)


def row_name(shots: int | None) -> str:
    """The name of a row: "all", or the number of shots."""
    return "all" if shots is None else str(shots)
