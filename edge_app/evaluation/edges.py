"""Pictures evaluated as events: what is encoded is the events of each, drawn as the model takes them."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import ModelManifest
from edge_app.errors import InputError
from edge_app.events.gradient import FEWEST, STEPS, drawn, events_of_picture

VERSIONS = {"grey": "edge pictures 1", "red-blue": "events in red and blue 1"}
"""Changed when the same picture gives another one in these colours: cached embeddings are then made anew."""


class EventEncoder(ImageEncoder):
    """Encodes the events of each image, made of the model's input in the way of ES-ImageNet.

    The stage `events` of `times_ms` is the time that it takes to make and draw them.
    """

    def __init__(self, manifest: ModelManifest, *, threads: int = 1, steps: int = STEPS) -> None:
        """`steps`: the model is shown the events of the first steps alone, 1 to 8."""
        super().__init__(manifest, threads=threads)
        self._steps = steps
        self.times_ms["events"] = []
        version = VERSIONS[manifest.event_colours] + (f", {steps} steps" if steps < STEPS else "")
        self.fingerprint = hashlib.sha256((version + self.fingerprint).encode()).hexdigest()

    def prepare(self, data: bytes | Path) -> NDArray[np.uint8]:
        """Return the events of an image file, or of the bytes of one, as a picture (side, side, 3) uint8.

        Raises InputError when it is corrupt, or has fewer events in all steps than the samples of ES-ImageNet.
        """
        picture = super().prepare(data)
        # bytes are named by whoever read them
        name = "" if isinstance(data, bytes) else f"{data} "
        return self._timed("events", lambda: self._drawn(picture, name))

    def _drawn(self, picture: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        events = events_of_picture(picture)
        count = int(np.count_nonzero(events))
        if count < FEWEST:
            raise InputError(f"{name}gives {count} events, expected at least {FEWEST}: it is too smooth or too dark")
        return drawn(events[: self._steps], self.manifest.event_colours)


def open_encoder(manifest: ModelManifest, *, events: bool, threads: int = 1) -> ImageEncoder:
    """Return the encoder of pictures, or of their events. Raises InputError for pictures to a model of events."""
    manifest.require_events(events)
    return EventEncoder(manifest, threads=threads) if events else ImageEncoder(manifest, threads=threads)
