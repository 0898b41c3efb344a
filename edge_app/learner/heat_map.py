"""Heat maps: the parts of a picture that drove a column. Computed for one picture on request."""

import math
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.learner.learner import Learner


class MapEncoder(Protocol):
    """An encoder that outputs its last map; `TFLiteEncoder` is one."""

    def encode_with_map(self, image: NDArray[np.uint8], /) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the embedding (n,) and the map (side, side, n), both uint8, of a model input."""


class HeatMap(NamedTuple):
    """The parts of a picture that drove a column."""

    label: str
    """The class of the column."""
    cells: NDArray[np.float64]
    """(side, side): what each part of the picture adds to the column's potential, in firing thresholds."""


class HeatMapper:
    """Computes heat maps. The last picture is encoded once for all columns. Thread-safe."""

    def __init__(self, encoder: MapEncoder, manifest: "ModelManifest", learner: "Learner") -> None:
        self._encoder = encoder
        self._manifest = manifest
        self._learner = learner
        self._guard = threading.Lock()
        self._encoded: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def of(self, picture: NDArray[np.uint8], label: str | None) -> HeatMap:
        """Return the heat map of a picture for the column of a class, None: for the leading column.

        `picture` is the model's input, (size, size, 3) uint8, and must not be written to afterwards. Raises
        UnknownLabel, and InputError while no class is known or if the model does not output its map.
        """
        from edge_app.encoder.pooling import drive_per_cell

        told = self._manifest.last_map
        if told is None:
            raise InputError(
                f"encoder {self._manifest.name} does not output its last map, which a heat map needs: its manifest has "
                "no [map]. Use an encoder that is shipped with edge-app"
            )
        with self._guard:
            # `is`: the caller passes the same array for each column, and must not write to it
            if self._encoded is None or self._encoded[0] is not picture:
                self._encoded = (picture, *self._encoder.encode_with_map(picture))
            _, embedding, cells = self._encoded
        # outside the lock: the learner has its own
        evidence = self._learner.evidence(embedding, label)
        # a plain mean is the limit of Gaussian pooling
        sigma = math.inf if self._manifest.sigma is None else self._manifest.sigma
        drive = drive_per_cell(evidence.drive, cells, sigma=sigma, zero_point=told.zero_point)
        return HeatMap(evidence.label, drive)
