"""The demo's scene as an event camera in front of it sees it: edges that move."""

import numpy as np
from numpy.typing import NDArray

from edge_app.events.differences import FrameDifferences
from edge_app.events.drawing import draw
from edge_app.simulation.devices import Scene

SIZE = (298, 224)
"""Width and height, pixels: edges of one pixel would fade if a larger picture were reduced to the encoder's input."""
WINDOW_NS = 50_000_000
"""The time whose events a frame shows, as that of recordings."""


class EventScene:
    """Another scene, seen by an event camera that draws in `colours`."""

    def __init__(self, scene: Scene, colours: str) -> None:
        self._scene, self._colours = scene, colours

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        """Return the events of the `WINDOW_NS` after `time_ns` as a picture, uint8 (height, width, 3) RGB."""
        differences = FrameDifferences()
        # not before it: a new shot begins at the time of a frame
        differences.events(self._scene.image(time_ns))
        return draw(differences.events(self._scene.image(time_ns + WINDOW_NS)), self._colours)
