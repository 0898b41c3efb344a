"""Embeddings of the dreams that a device would learn."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_app.config import ConsolidationConfig
from edge_app.datasets.dataset import Dataset
from edge_app.errors import InputError
from edge_app.evaluation.embedding import StagedEmbedder, embed
from edge_app.evaluation.trial import Dreams, Progress, Rows
from edge_app.learner.dreams import dream_picture
from edge_app.learner.pictures import thumbnail_of
from edge_app.learner.replay import RateCoder

VERSION = 1
"""Increased when dreams are made in another way: cached embeddings are then not used."""


class DreamEmbedder:
    """Embeds dream `number` of an image file instead of the image; made from its thumbnail, as on a device."""

    def __init__(self, encoder: StagedEmbedder, number: int) -> None:
        self._encoder, self._number = encoder, number
        self.fingerprint = hashlib.sha256(f"{encoder.fingerprint} dream {number} v{VERSION}".encode()).hexdigest()

    def embed(self, data: bytes) -> NDArray[np.uint8]:
        """Return the embedding (n,) of the dream of an image file's bytes; InputError when it is corrupt."""
        picture = self._encoder.prepare(data)
        return self._encoder.encode(dream_picture(thumbnail_of(picture), self._number, picture.shape[0]))


def make_dreams(
    dataset: Dataset,
    encoder: StagedEmbedder,
    rate_code: RateCoder,
    rows: Rows,
    learnt: Sequence[NDArray[np.intp]],
    config: ConsolidationConfig,
    *,
    cache: str | None = None,
    progress: Progress = lambda what, items: items,
) -> Dreams:
    """Return all dreams that may be needed after learning any of these selections of rows, in any order.

    Raises InputError when an image cannot be read (again).
    """
    item_of = {row: index for index, row in rows.row_of.items()}
    wanted: set[int] = set()
    for one in learnt:
        taught = Counter(rows.labels[one].tolist())
        # a class with enough examples is rehearsed, which needs no pictures
        wanted.update(int(row) for row in one if taught[int(rows.labels[row])] < config.per_class)
    chosen = sorted(wanted)
    dreams: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for number in range(config.dreams if chosen else 0):
        found = embed(
            dataset,
            DreamEmbedder(encoder, number),
            items=[dataset.items[item_of[row]] for row in chosen],
            cache=cache,
            progress=lambda items, number=number: progress(f"dream {number + 1}", items),  # type: ignore[misc]
        )
        if found.skipped:
            raise InputError(f"{dataset.path}: {found.skipped[0].name}: {found.skipped[0].reason}")
        dreams |= {(row, number): rate_code(values) for row, values in zip(chosen, found.values, strict=True)}
    return dreams
