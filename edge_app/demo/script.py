"""The script of the demo: which object is shown when, and which buttons are pressed."""

from typing import NamedTuple

import numpy as np

from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.simulation.devices import SimulatedButtons
from edge_app.simulation.photographs import Photographs, Use
from edge_app.simulation.scene import Shot

TAUGHT = ("astronaut", "cat", "coin", "cup", "helmet", "motorbike", "patch", "wheel")
ADDED = "shuttle"
STRANGER = "photographer"
STRANGER_SHOTS = 6
SLIP = ("cup", "cat")
"""The object shown, and the button pressed by mistake."""

UNDO = "undo"
NEW = "new"
"""The button that adds a class."""

FPS = 1.0
SHOT_S = 1.0
"""One frame per shot: every frame shows another pose, light and background."""
PRESS_S = 0.6
"""When in a shot a button is pressed: while its frame is the newest."""

TEACH_SPREAD = 0.5
"""Objects are taught in moderate poses and light, and tested in the whole range."""


class Beat(NamedTuple):
    """One shot, and the buttons pressed in it."""

    chapter: str
    shot: Shot
    press: tuple[str, ...] = ()


class Script(NamedTuple):
    """All beats, each `SHOT_S` long, from `start_ns` on the clock."""

    beats: tuple[Beat, ...]
    start_ns: int

    def over(self, time_ns: int) -> bool:
        """Whether the last beat has ended."""
        return (time_ns - self.start_ns) // round(SHOT_S * NS_PER_S) >= len(self.beats)

    def beat(self, time_ns: int) -> Beat:
        """Return the beat at a time on the clock; the first before it starts, the last after it ends."""
        index = (time_ns - self.start_ns) // round(SHOT_S * NS_PER_S)
        return self.beats[min(max(index, 0), len(self.beats) - 1)]

    def shot(self, index: int) -> Shot:
        """Return the shot of a beat for the scene; the last one after the end."""
        return self.beats[min(index, len(self.beats) - 1)].shot

    def press_all(self, buttons: SimulatedButtons) -> None:
        """Schedule all presses of the script."""
        for index, beat in enumerate(self.beats):
            for place, name in enumerate(beat.press):
                buttons.press(name, at_ns=self.start_ns + round((index * SHOT_S + PRESS_S + 0.2 * place) * NS_PER_S))


def write_script(photographs: Photographs, *, seed: int, shots: int, frames: int, start_ns: int) -> Script:
    """Return the demo's script.

    teach: `shots` presses for each class. name: `frames` new frames. add: a new class by one press, then frames of it
    and of the others. slip: a wrong press and an undo. stranger: an object that is never taught.
    Raises InputError for an option out of range.
    """
    if seed < 0:
        raise InputError(f"seed = {seed}, expected zero or more")
    if not 1 <= shots <= 100:
        raise InputError(f"shots = {shots}, expected 1 to 100 presses for each class")
    if not 1 <= frames <= 10_000:
        raise InputError(f"frames = {frames}, expected 1 to 10000 frames to name")
    writer = _Writer(photographs, seed)
    for name in writer.rounds(TAUGHT, shots * len(TAUGHT)):
        writer.add("teach", name, "teach", press=(name,))
    for name in writer.rounds(TAUGHT, frames):
        writer.add("name", name, "test")
    writer.add("add", ADDED, "teach", press=(NEW,))
    for name in writer.rounds(TAUGHT, 2 * len(TAUGHT)):
        writer.add("add", name, "test")
        writer.add("add", ADDED, "test")
    held, pressed = SLIP
    writer.add("slip", held, "test", press=(pressed, UNDO))
    for _ in range(STRANGER_SHOTS):
        writer.add("stranger", STRANGER, "test")
    return Script(tuple(writer.beats), start_ns)


class _Writer:
    def __init__(self, photographs: Photographs, seed: int) -> None:
        self._photographs = photographs
        self._rng = np.random.default_rng(seed)
        self.beats: list[Beat] = []

    def rounds(self, names: tuple[str, ...], count: int) -> list[str]:
        """Return `count` names: rounds of all names, each in a new order."""
        order: list[str] = []
        while len(order) < count:
            # whole rounds: each object is shown equally often
            order += [names[index] for index in self._rng.permutation(len(names))]
        return order[:count]

    def add(self, chapter: str, name: str, use: Use, *, press: tuple[str, ...] = ()) -> None:
        view = int(self._rng.choice(self._photographs.views(name, use)))
        spread = TEACH_SPREAD if use == "teach" else 1.0
        # a seed for each shot: a shot does not depend on how the ones before it are drawn
        self.beats.append(Beat(chapter, Shot(name, view, use, int(self._rng.integers(2**31)), spread), press))
