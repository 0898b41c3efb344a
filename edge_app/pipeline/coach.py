"""The teaching coach: warnings about an example that is taught, and the taught examples that a picture resembles.

`advise` and `most_similar` are pure. Similarity is the cosine of two vectors of spike counts; their dot products are
exact, so every machine gives the same advice. The thresholds were chosen on training data by `calibration/coach.py`;
docs/coach.md has how often each warning is right on test data.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import EdgeAppError
from edge_app.learner.pictures import is_two_coloured
from edge_app.storage.records import Example

AdviceKind = Literal["dark", "blurred", "same", "resembles", "one-sided"]

DARK = 20
"""Nearly black: nine tenths of the picture are darker than this level of 255."""
BLURRED = 0.68
"""Blur (`blur_of`) from which a picture is called blurred."""
SAME = 0.95
"""Correlation of two mosaics from which pictures are called the same."""
RESEMBLES, RESEMBLES_BY = 0.6, 0.14
"""Similarity to an example of another class, and its lead over the most similar example of its own class."""
# one minute
ONE_SIDED_NS = 60_000_000_000
ONE_SIDED_AT = (5, 10)
"""Numbers of examples of a class at which one-sided teaching is worth a warning."""
PER_CLASS = 16
"""Newest examples of each class that are compared: with 64 classes that takes two milliseconds."""
LOADED_AT_ONCE = 32
SMOOTHED = 9
"""Pixels that `blur_of` takes the mean of."""
MOSAIC = 16
"""Cells of a mosaic along a side: so coarse that a sensor's noise and a step aside do not matter."""
CHUNK = 512

Counts = NDArray[np.uint8]
Mosaic = NDArray[np.float64]


class Advice(NamedTuple):
    """A warning about an example that was taught all the same."""

    kind: AdviceKind
    text: str
    """For people: the warning and the way out."""
    example: int | None = None
    """The stored example that it is about."""
    label: str | None = None
    """The class of that example."""


class SimilarExample(NamedTuple):
    """A taught example, and how much a picture resembles it."""

    example: int
    label: str
    similarity: float
    """Cosine of the spike counts, 0..1."""


class TaughtExamples(NamedTuple):
    """Examples that a picture is compared with, in the order of teaching."""

    ids: Sequence[int]
    labels: Sequence[str]
    times_ns: Sequence[int]
    counts: Counts
    """(m, n) spike counts."""
    mosaics: Mapping[int, Mosaic]
    """Mosaics of some of the examples, by id: of those taught since the start."""


def advise(
    picture: NDArray[np.uint8], counts: Counts, label: str, time_ns: int, taught: TaughtExamples
) -> tuple[Advice, ...]:
    """Return the warnings that an example is worth.

    picture: the encoder's input, (side, side, 3) uint8; counts: its spike counts, (n,) uint8; time_ns: wall clock;
    taught: the examples before it.
    """
    # alone: in a dark picture the other measures see nothing but noise
    # black between the edges is as it should be where events are drawn in two colours
    if np.quantile(brightness_of(picture), 0.9) < DARK and not is_two_coloured(picture):
        return (Advice("dark", "nearly black: is the lens covered, or the light off?"),)
    found = []
    if blur_of(picture) >= BLURRED:
        found.append(Advice("blurred", "blurred: hold it still, or further from the camera"))
    own = [at for at, name in enumerate(taught.labels) if name == label]
    # the same picture under another class is worth both warnings: one is enough
    found += _same(picture, label, own, taught) or _resembling(counts, label, own, taught)
    times = [taught.times_ns[at] for at in own]
    if len(times) + 1 in ONE_SIDED_AT and all(abs(time_ns - time) < ONE_SIDED_NS for time in times):
        text = f"all {len(times) + 1} examples of {label} are from one minute: show it later, elsewhere, in other light"
        found.append(Advice("one-sided", text))
    return tuple(found)


def _same(picture: NDArray[np.uint8], label: str, own: Sequence[int], taught: TaughtExamples) -> list[Advice]:
    """Return a warning if a picture is the same as the last one that was taught, or the last one of its class."""
    shown = mosaic_of(picture)
    last = [len(taught.ids) - 1] if taught.ids else []
    # a dict keeps the order and drops the one that is both
    for at in dict.fromkeys([*last, *own[-1:]]):
        mosaic = taught.mosaics.get(taught.ids[at])
        if mosaic is None or correlation(shown, mosaic) < SAME:
            continue
        text = f"the same picture as example {taught.ids[at]}"
        other = taught.labels[at]
        if other == label:
            return [Advice("same", f"{text}: turn it, or show it from another side", taught.ids[at], other)]
        return [Advice("same", f"{text}, which was taught as {other}: undo one of them", taught.ids[at], other)]
    return []


def _resembling(counts: Counts, label: str, own: Sequence[int], taught: TaughtExamples) -> list[Advice]:
    """Return a warning if a picture resembles an example of another class much more than those of its own."""
    if not own or len(own) == len(taught.ids):
        return []
    similarity = similarities(counts, taught.counts)
    mine = similarity[own].max()
    similarity[own] = 0
    best = int(similarity.argmax())
    if similarity[best] < RESEMBLES or similarity[best] - mine < RESEMBLES_BY:
        return []
    example, other = taught.ids[best], taught.labels[best]
    text = f"it looks like {other} (example {example}) more than like {label}: if it is, undo it"
    return [Advice("resembles", text, example, other)]


def most_similar(counts: Counts, taught: TaughtExamples, limit: int = 3) -> list[SimilarExample]:
    """Return the examples that spike counts (n,) uint8 resemble most, at most `limit`; of equal ones the newest."""
    similarity = similarities(counts, taught.counts)
    # lexsort sorts by its last key first
    order = np.lexsort((-np.arange(len(similarity)), -similarity))[:limit]
    return [SimilarExample(taught.ids[i], taught.labels[i], float(similarity[i])) for i in order]


def similarities(counts: Counts, rows: Counts) -> NDArray[np.float64]:
    """Return the cosines (m,) of counts (n,) and rows (m, n), both 0..10; 0 beside a vector of zeros."""
    shown = counts.astype(np.float32)  # products and their sums are whole numbers below 2^24, so float32 is exact
    products, lengths = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK].astype(np.float32)
        products[start : start + CHUNK] = np.einsum("ij,j->i", part, shown)  # not @: BLAS would wake threads for it
        lengths[start : start + CHUNK] = np.einsum("ij,ij->i", part, part)
    found: NDArray[np.float64] = products / np.sqrt(np.maximum(lengths * float(np.einsum("i,i->", shown, shown)), 1))
    return found


def brightness_of(picture: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the luma (height, width), 0..255, of an RGB picture."""
    red, green, blue = (picture[:, :, channel].astype(np.int32) for channel in range(3))
    # the usual weights of luma, in 256ths: integers give the same result on every machine
    found: NDArray[np.int32] = (77 * red + 150 * green + 29 * blue) >> 8
    return found


def mosaic_of(picture: NDArray[np.uint8]) -> Mosaic:
    """Return the brightness of MOSAIC x MOSAIC cells of an RGB picture, less their mean."""
    brightness = brightness_of(picture)
    height, width = (max(side // MOSAIC, 1) for side in brightness.shape)
    # a rest of less than a cell at the right and lower edge is left out
    cells = brightness[: height * MOSAIC, : width * MOSAIC]
    sums = np.add.reduceat(np.add.reduceat(cells, range(0, cells.shape[0], height)), range(0, cells.shape[1], width), 1)
    found: Mosaic = sums - sums.mean()
    return found


def correlation(first: Mosaic, second: Mosaic) -> float:
    """Return the correlation of two mosaics, -1..1; 0 beside one that is all alike."""
    scale = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / scale if scale else 0.0


def blur_of(picture: NDArray[np.uint8]) -> float:
    """Return how blurred an RGB picture is, 0 (sharp) to 1: Crete et al., "The blur effect" (2007).

    A sharp picture loses most of the differences between neighbouring pixels when it is smoothed, a blurred one few.
    The measure does not depend on brightness and contrast.
    """
    brightness = brightness_of(picture)
    return max(_blur_along(brightness), _blur_along(brightness.T))


def _blur_along(brightness: NDArray[np.int32]) -> float:
    """Return the blur along the rows of a picture (height, width)."""
    sums = np.cumsum(brightness, axis=1, dtype=np.int32)
    smooth = sums[:, SMOOTHED:] - sums[:, :-SMOOTHED]  # SMOOTHED times the mean around each pixel
    middle = brightness[:, (SMOOTHED + 1) // 2 :][:, : smooth.shape[1]]
    before = SMOOTHED * np.abs(np.diff(middle, axis=1))
    lost = np.maximum(before - np.abs(np.diff(smooth, axis=1)), 0)
    total = int(before.sum())
    return 1.0 if total == 0 else 1 - int(lost.sum()) / total


class Coach:
    """Remembers the newest examples of each class, and advises on further ones; safe to use from any thread."""

    def __init__(self, counts_of: Callable[[int], Counts]) -> None:
        """`counts_of` returns the spike counts (n,) of a stored example; it may raise EdgeAppError."""
        self._counts_of = counts_of
        self._lock = threading.Lock()
        self._wanted: dict[int, tuple[str, int]] = {}
        """Examples to compare with, in the order of teaching -> class and time."""
        self._counts: dict[int, Counts] = {}
        self._mosaics: dict[int, Mosaic] = {}

    def follow(self, examples: Iterable[Example]) -> None:
        """Compare with the newest of the stored examples, which are in the order of teaching; `load` reads them."""
        classes: dict[str, list[Example]] = {}
        for example in examples:
            classes.setdefault(example.label, []).append(example)
        newest = sorted(one for stored in classes.values() for one in stored[-PER_CLASS:])
        with self._lock:
            self._wanted = {one.id: (one.label, one.time_ns) for one in newest}
            self._forget_unwanted()

    def load(self, most: int | None = LOADED_AT_ONCE) -> None:
        """Read the counts of at most so many examples that are not read yet, None: of all; in idle time."""
        with self._lock:
            # only listed under the lock: reading from the store may take long, and teaching waits for the lock
            missing = [example for example in self._wanted if example not in self._counts][:most]
        for example in missing:
            try:
                counts = self._counts_of(example)
            except EdgeAppError:  # forgotten meanwhile, or damaged: those who need it report that
                with self._lock:
                    self._wanted.pop(example, None)
            else:
                with self._lock:
                    self._counts[example] = counts

    def taught(
        self, example: int, label: str, time_ns: int, counts: Counts, picture: NDArray[np.uint8], *, alone: bool = True
    ) -> tuple[Advice, ...]:
        """Remember an example that was taught, and return the warnings that it is worth; see `advise`.

        It is compared with the examples that are loaded. Not `alone`, it is one of several that were taught at once,
        and only remembered.
        """
        found = advise(picture, counts, label, time_ns, self._remembered(counts.size)) if alone else ()
        with self._lock:
            self._wanted[example] = label, time_ns
            self._counts[example] = counts
            self._mosaics[example] = mosaic_of(picture)
            own = [one for one, (name, _) in self._wanted.items() if name == label]
            for one in own[:-PER_CLASS]:
                del self._wanted[one]
            self._forget_unwanted()
        return found

    def most_similar(self, counts: Counts, limit: int = 3) -> list[SimilarExample]:
        """Return the taught examples that spike counts (n,) resemble most."""
        self.load(None)
        return most_similar(counts, self._remembered(counts.size), limit)

    def _forget_unwanted(self) -> None:
        for kept in (self._counts, self._mosaics):
            for example in kept.keys() - self._wanted.keys():
                del kept[example]

    def _remembered(self, n_inputs: int) -> TaughtExamples:
        with self._lock:
            ids = [example for example in self._wanted if example in self._counts]
            labels, times_ns = [self._wanted[one][0] for one in ids], [self._wanted[one][1] for one in ids]
            rows = [self._counts[one] for one in ids]
            counts = np.stack(rows) if rows else np.zeros((0, n_inputs), np.uint8)
            return TaughtExamples(ids, labels, times_ns, counts, dict(self._mosaics))
