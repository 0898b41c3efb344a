"""Pictures evaluated as events: each becomes its edge picture before it is encoded."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import ModelManifest
from edge_app.errors import InputError
from edge_app.events.drawing import grey
from edge_app.events.gradient import FEWEST, edge_integral, events_of_picture

VERSION = b"edge pictures 1"
"""Changed when the same picture gives another edge picture: cached embeddings are then made anew."""


class EdgeEncoder(ImageEncoder):
    """Encodes the edge picture of each image, made of the model's input in the way of ES-ImageNet.

    The stage `events` of `times_ms` is the time that this takes.
    """

    def __init__(self, manifest: ModelManifest, *, threads: int = 1) -> None:
        super().__init__(manifest, threads=threads)
        self.times_ms["events"] = []
        self.fingerprint = hashlib.sha256(VERSION + self.fingerprint.encode()).hexdigest()

    def prepare(self, data: bytes) -> NDArray[np.uint8]:
        """Return an image file's edge picture, (side, side, 3) uint8.

        Raises InputError when it is corrupt, or has fewer events than the samples of ES-ImageNet.
        """
        picture = super().prepare(data)
        return self._timed("events", lambda: _edge_picture(picture))


def _edge_picture(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    events = events_of_picture(picture)
    count = int(np.count_nonzero(events))
    if count < FEWEST:
        raise InputError(f"gives {count} events, expected at least {FEWEST}: it is too smooth or too dark")
    return grey(edge_integral(events))
