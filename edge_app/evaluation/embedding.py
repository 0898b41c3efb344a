"""Embeddings of the pictures of a data set."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.listing import LeftOut
from edge_app.errors import InputError
from edge_app.evaluation.cache import EmbeddingCache


class Embedder(Protocol):
    """Turns image files into embeddings."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest that differs between encoders whose embeddings differ."""

    def embed(self, data: bytes) -> NDArray[np.uint8]:
        """Return the embedding (n,) of an image file's bytes; InputError when it is corrupt."""


class StagedEmbedder(Embedder, Protocol):
    """An embedder that can be called stage by stage, and keeps the time of each; `encoder.images.ImageEncoder`."""

    times_ms: dict[str, list[float]]
    """Milliseconds of each image, by stage; "encode" is one."""

    @property
    def zero_point(self) -> int:
        """Embedding value that stands for 0."""

    def prepare(self, data: bytes) -> NDArray[np.uint8]:
        """Return an image file's bytes as the model's input, (side, side, 3)."""

    def encode(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the embedding (n,) of a model's input."""


class Embedded(NamedTuple):
    """The embeddings of a data set's images, or of some of them."""

    values: NDArray[np.uint8]
    """(m, n): one row an image, in the order of `items`."""
    labels: NDArray[np.intp]
    """(m,): index into `classes`."""
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    """The data set's classes, sorted."""
    skipped: tuple[LeftOut, ...]
    """Images that could not be read or decoded; they have no row."""


def embed(
    dataset: Dataset,
    encoder: Embedder,
    *,
    items: Sequence[Item] | None = None,
    cache: str | Path | None = None,
    progress: Callable[[Sequence[Item]], Iterable[Item]] = lambda items: items,
) -> Embedded:
    """Embed `items` (default: all) of a data set; unreadable pictures are left out and named.

    `cache` names a folder that keeps embeddings by the file's bytes and the encoder's fingerprint (created when
    missing; InputError when it cannot be used). `progress` wraps the list that is walked through, as tqdm does.
    """
    wanted = dataset.items if items is None else tuple(items)
    rows: list[NDArray[np.uint8]] = []
    used: list[Item] = []
    skipped: list[LeftOut] = []
    store = None if cache is None else EmbeddingCache(Path(cache), encoder.fingerprint)
    try:
        for item in progress(wanted):
            try:
                row = _embed_one(dataset, item, encoder, store)
            except _UnreadableError as error:  # a class of its own: an InputError of the cache must end the run
                skipped.append(LeftOut(item.name, str(error)))
                continue
            rows.append(row)
            used.append(item)
    finally:
        if store:
            store.close()
    index = {label: i for i, label in enumerate(dataset.classes)}
    labels = np.array([index[item.label] for item in used], dtype=np.intp)
    values = np.stack(rows) if rows else np.zeros((0, 0), np.uint8)
    return Embedded(values, labels, tuple(used), dataset.classes, tuple(skipped))


class _UnreadableError(InputError):
    """One picture of a data set cannot be read or decoded; the others are used."""


def _embed_one(dataset: Dataset, item: Item, encoder: Embedder, store: EmbeddingCache | None) -> NDArray[np.uint8]:
    try:
        data = dataset.read(item)
    except InputError as error:
        raise _UnreadableError(str(error)) from error
    row = store.get(data) if store else None
    if row is not None:
        return row
    try:
        row = encoder.embed(data)
    except InputError as error:
        raise _UnreadableError(str(error)) from error
    if store:
        store.put(data, row)
    return row
