"""Data sets of images in class folders, in a folder or a zip, and their embeddings.

Three layouts are known: `SPLIT/CLASS/*.jpg`, `ALL/CLASS/*.jpg` (one split of any name) and `CLASS/*.jpg`. What most of
the images follow is the layout: an image in a folder below its class folder belongs to that class, an image above the
class folders is left out and named. One folder around everything is looked through. Hidden files and folders (a dot in
front, `__MACOSX`) are passed over; files that are no images by their extension are left out and named. A zip is never
unpacked: members are read one at a time into memory, at most `MAX_IMAGE_BYTES` each.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.errors import InputError
from edge_app.evaluation.cache import EmbeddingCache
from edge_app.evaluation.image_files import is_hidden, open_source

IMAGE_EXTENSIONS = frozenset({".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".webp"})
MAX_FILES = 2_000_000


class Item(NamedTuple):
    """One labelled image of a data set."""

    split: str
    """The split's folder name; "" where the data set has none."""
    label: str
    """The class folder's name."""
    name: str
    """Path inside the data set, with forward slashes."""


class Skipped(NamedTuple):
    """An image that could not be used."""

    name: str
    reason: str


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


class Dataset(Closing):
    """The labelled images of a folder or a zip. Closes its zip as a context manager.

    Raises InputError when the path is neither, or holds no image in a class folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._source = open_source(self.path)
        self.ignored: list[str] = []
        """Files that are no images by their names, or lie outside the class folders, or have unsafe names."""
        images = self._list_images()
        self._base, has_splits = _layout(images)
        self.items: tuple[Item, ...] = tuple(self._label(images, has_splits))
        """All images, sorted by split, class and name."""
        if not self.items:
            self._source.close()
            raise InputError(self._nothing_found(images))
        self.splits: tuple[str, ...] = tuple(sorted({item.split for item in self.items if item.split}))
        """Names of the split folders; empty for the layout CLASS/*.jpg."""
        self.classes: tuple[str, ...] = tuple(sorted({item.label for item in self.items}))
        """Names of the classes that have an image, sorted."""
        self.empty_classes: tuple[str, ...] = self._find_empty(has_splits)
        """Class folders without an image in any split."""

    def read(self, item: Item) -> bytes:
        """Return the image file's bytes; InputError when they cannot be read."""
        return self._source.read(item.name)

    def close(self) -> None:
        """Close the zip; harmless to repeat."""
        self._source.close()

    def _list_images(self) -> list[tuple[str, ...]]:
        images = []
        for count, name in enumerate(self._source.names()):
            if count >= MAX_FILES:
                raise InputError(f"data set {self.path}: more than {MAX_FILES:,} files; name a smaller folder")
            parts = tuple(name.split("/"))
            if name.startswith("/") or ".." in parts or "" in parts or "\0" in name:
                self.ignored.append(name)
            elif any(is_hidden(part) for part in parts):
                continue
            elif _is_image(name):
                images.append(parts)
            else:
                self.ignored.append(name)
        return images

    def _label(self, images: Sequence[tuple[str, ...]], has_splits: bool) -> list[Item]:
        items = []
        for parts in images:
            inner = parts[self._base :]
            if len(inner) < (3 if has_splits else 2):
                self.ignored.append("/".join(parts))
            elif has_splits:
                items.append(Item(inner[0], inner[1], "/".join(parts)))
            else:
                items.append(Item("", inner[0], "/".join(parts)))
        return sorted(items)

    def _find_empty(self, has_splits: bool) -> tuple[str, ...]:
        depth = self._base + (2 if has_splits else 1)
        tops = {item.name.split("/")[0] for item in self.items} if self._base else None
        found = set()
        for folder in self._source.folders():
            parts = folder.split("/")
            hidden = any(is_hidden(part) for part in parts)
            if len(parts) == depth and not hidden and (tops is None or parts[0] in tops):
                found.add(parts[-1])
        return tuple(sorted(found - set(self.classes)))

    def _nothing_found(self, images: Sequence[tuple[str, ...]]) -> str:
        expected = "expected SPLIT/CLASS/*.jpg, ALL/CLASS/*.jpg or CLASS/*.jpg"
        if images:
            return f"data set {self.path}: its {len(images)} images lie in no class folders; {expected}"
        kinds = " ".join(sorted(IMAGE_EXTENSIONS))
        return f"data set {self.path}: no image in it ({kinds}); {expected}"


def _layout(images: Sequence[tuple[str, ...]]) -> tuple[int, bool]:
    """Return how many outer folders to look through, and whether splits lie below them."""
    if not images:
        return 0, False
    depths = Counter(len(parts) for parts in images)
    usual = max(depths, key=lambda depth: (depths[depth], -depth))
    base = 0
    while usual - base > 3 and len({parts[base] for parts in images if len(parts) > base}) == 1:
        base += 1
    return base, usual - base >= 3


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
    skipped: tuple[Skipped, ...]
    """Images that could not be read or decoded; they have no row."""


def embed(
    dataset: Dataset,
    encoder: Embedder,
    *,
    items: Sequence[Item] | None = None,
    cache: str | Path | None = None,
    progress: Callable[[Sequence[Item]], Iterable[Item]] = lambda items: items,
) -> Embedded:
    """Embed `items` (default: all) of a data set; corrupt images are skipped and named.

    `cache` names a folder that keeps embeddings by the file's bytes and the encoder's fingerprint (created when
    missing; InputError when it cannot be used). `progress` wraps the list that is walked through, as tqdm does.
    """
    wanted = dataset.items if items is None else tuple(items)
    rows: list[NDArray[np.uint8]] = []
    used: list[Item] = []
    skipped: list[Skipped] = []
    store = None if cache is None else EmbeddingCache(Path(cache), encoder.fingerprint)
    try:
        for item in progress(wanted):
            try:
                row = _embed_one(dataset, item, encoder, store)
            except _CorruptImageError as error:
                skipped.append(Skipped(item.name, str(error)))
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


class _CorruptImageError(InputError):
    """One image of a data set cannot be read or decoded: skipped, not fatal."""


def _embed_one(dataset: Dataset, item: Item, encoder: Embedder, store: EmbeddingCache | None) -> NDArray[np.uint8]:
    try:
        data = dataset.read(item)
    except InputError as error:
        raise _CorruptImageError(str(error)) from error
    row = store.get(data) if store else None
    if row is not None:
        return row
    try:
        row = encoder.embed(data)
    except InputError as error:
        raise _CorruptImageError(str(error)) from error
    if store:
        store.put(data, row)
    return row
