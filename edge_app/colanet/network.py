"""CoLaNET: one column of L neurons per class; it learns from single presentations and decides by OUT spikes."""

import copy
import threading
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.columns import Columns
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.fixedpoint import label_key
from edge_app.colanet.kernels import EARLIEST, EXCITATION, SPIKES
from edge_app.colanet.params import INPUT_STEPS, Decorrelated, Params
from edge_app.colanet.published import PublishedColumns
from edge_app.colanet.snapshot import pack, unpack
from edge_app.errors import InputError, ParameterError, StateCorrupt, UnknownLabel
from edge_app.messages import Decision

MAX_LABEL = 200
"""Characters of a label, at most."""


class CoLaNET:
    """The spiking classifier.

    Counts are spikes per input in one presentation: uint8, 0..10, (n_inputs,) for one and (m, n_inputs) for many. The
    state depends on `params` and the order of calls only: the same calls give the same snapshot, to the bit, on every
    machine and with any number of `threads`. Methods may be called from several threads; they run one at a time.

    Raises ParameterError when n_inputs is too large for a 32-bit potential.
    """

    def __init__(
        self, params: Params, n_inputs: int, *, threads: int = 1, background: NDArray[np.uint8] | None = None
    ) -> None:
        _check_threads(threads)
        if not isinstance(n_inputs, int) or isinstance(n_inputs, bool):
            raise ParameterError(f"colanet: n_inputs = {n_inputs!r}, expected a whole number")
        self.params = params
        self.n_inputs = n_inputs
        self.n_learnt = 0
        self._labels: list[str] = []
        self.background = _check_background(background, n_inputs)
        """(r, n_inputs) counts of general images, which an example must stand out from to be familiar; or None."""
        self._columns = _make_columns(params, n_inputs, threads, self.background)
        # one presentation at a time: all of them use the same scratch arrays
        self._lock = threading.RLock()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order in which they were added."""
        return tuple(self._labels)

    @property
    def columns(self) -> Columns:
        """The neurons' state, for reading; change it through the network."""
        return self._columns

    def predict_one(self, counts: NDArray[np.uint8]) -> Decision:
        """Return the decision on one presentation: counts (n_inputs,) uint8. Raises InputError.

        The column with the most OUT spikes wins. Ties: `Decorrelated`, the greatest potential left over; `Published`,
        the earliest OUT spike, then the greatest excess over threshold at it; then the class that was added first.
        """
        self._check_counts(counts, 1)
        with self._lock:
            return self._decide(counts)

    def predict_many(self, counts: NDArray[np.uint8]) -> list[Decision]:
        """Return the decision on each row of counts (m, n_inputs) uint8. Raises InputError."""
        self._check_counts(counts, 2)
        with self._lock:
            return [self._decide(row) for row in counts]

    def input_drive(self, counts: NDArray[np.uint8], label: str) -> NDArray[np.float64]:
        """Return what each input of counts (n_inputs,) uint8 adds to the potential of a class's column.

        (n_inputs,) float64, in firing thresholds, summed over the ensemble; see `Columns.input_drive`. It explains a
        decision and takes no part in one. Raises InputError, UnknownLabel.
        """
        self._check_counts(counts, 1)
        with self._lock:
            return self._columns.input_drive(np.array(counts), self._column(label))

    def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn that counts (n_inputs,) uint8 show a class.

        Raises InputError, UnknownLabel; then nothing was changed.
        """
        self._check_counts(counts, 1)
        with self._lock:
            self._learn(counts, self._column(label))

    def learn_many(self, counts: NDArray[np.uint8], labels: Sequence[str]) -> None:
        """Learn the rows of counts (m, n_inputs) uint8 in their order.

        Raises InputError, UnknownLabel before anything is learnt; then nothing was changed.
        """
        self._check_counts(counts, 2)
        if len(labels) != len(counts):
            raise InputError(f"{len(counts)} rows of counts came with {len(labels)} labels, expected one label a row")
        with self._lock:
            # all labels are looked up before the first row is learnt
            columns = [self._column(label) for label in labels]
            for row, column in zip(counts, columns, strict=True):
                self._learn(row, column)

    def learn_variation(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn counts (n_inputs,) uint8 as an altered example of a class, with less weight than an example.

        With `Decorrelated` it weighs 1/VARIATIONS of an example; n_learnt does not count it. `Published` learns
        nothing, and neither does a column that has learnt no example. Raises InputError, UnknownLabel; then nothing was
        changed.
        """
        self._check_counts(counts, 1)
        with self._lock:
            # n_learnt is not raised: it numbers the random streams of examples
            self._columns.vary(np.array(counts), self._column(label))

    def rehearse_one(self, counts: NDArray[np.uint8], label: str) -> None:
        """Rehearse counts (n_inputs,) uint8, an example of a class that was learnt before.

        With `Decorrelated` the columns that expect another class are corrected, REHEARSED times as strongly as by a new
        example; n_learnt does not count it. `Published` learns nothing, and neither does a column that has learnt
        no example. Raises InputError, UnknownLabel; then nothing was changed.
        """
        self._check_counts(counts, 1)
        with self._lock:
            self._columns.rehearse(np.array(counts), self._column(label))

    def add_class(self, label: str) -> None:
        """Add a column for a new class. Raises InputError when the label is not usable or there already."""
        _check_label(label)
        with self._lock:
            if label in self._labels:
                raise InputError(f"class {label!r} exists already")
            self._columns.add(label_key(label))
            self._labels.append(label)

    def remove_class(self, label: str) -> None:
        """Remove a class and its column. Raises UnknownLabel."""
        with self._lock:
            column = self._column(label)
            self._columns.remove(column)
            del self._labels[column]

    def snapshot(self) -> bytes:
        """Return the whole state as bytes for `from_snapshot`."""
        with self._lock:
            head = {
                "params": self.params.to_dict(),
                "n_inputs": self.n_inputs,
                "n_learnt": self.n_learnt,
                "labels": self._labels,
            }
            # under the lock: the arrays are not copied until they are packed
            arrays = self._columns.arrays()
            if self.background is not None:
                arrays = {**arrays, "background": self.background}
            return pack(head, arrays)

    @classmethod
    def from_snapshot(cls, data: bytes, *, threads: int = 1) -> Self:
        """Return the network of a snapshot. Raises StateCorrupt unless every byte is as it was written."""
        _check_threads(threads)
        head, arrays = unpack(data)
        try:
            params, background = Params.from_dict(head["params"]), arrays.get("background")
            network = cls(params, head["n_inputs"], threads=threads, background=background)
            for label in head["labels"]:
                _check_label(label)
            network._labels = list(head["labels"])
            network.n_learnt = int(head["n_learnt"])
            if network.n_learnt < 0 or len(set(network._labels)) != len(network._labels):
                raise ValueError("a negative number of examples, or a label twice")
            # last: it checks every array against what the head says
            network._columns.load(arrays)
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise StateCorrupt(f"the snapshot does not describe a network of this edge-app: {error}") from error
        if len(network._labels) != network._columns.keys.size:
            raise StateCorrupt(f"the snapshot has {len(network._labels)} labels, {network._columns.keys.size} columns")
        return network

    def copy(self) -> Self:
        """Return a network of the same state, which learns on its own."""
        with self._lock:
            copied = copy.copy(self)
            copied._labels = list(self._labels)
            copied._columns = copy.deepcopy(self._columns)
        copied._lock = threading.RLock()
        return copied

    def _learn(self, counts: NDArray[np.uint8], column: int) -> None:
        # a copy of its own: numba compiles anew for arrays that are read-only or not contiguous
        self._columns.learn(np.array(counts), column, self.n_learnt)
        self.n_learnt += 1

    def _decide(self, counts: NDArray[np.uint8]) -> Decision:
        if not self._labels:
            # the kernels need at least one column
            nothing = np.zeros(0, np.int32)
            return Decision(None, self.labels, nothing, nothing.copy(), 0, np.zeros(0, np.int64))
        shown = np.array(counts)  # a copy, as in _learn
        best, margin, totals = self._columns.decide(shown)
        spikes = totals[SPIKES].astype(np.int32)
        first = np.negative(totals[EARLIEST], dtype=np.int64).astype(np.int32)
        excitation = totals[EXCITATION].copy()
        # without a spike the ranking only tells who came closest
        label = self._labels[best] if spikes[best] else None
        novelty, separation, learnt = self._columns.appraise(shown, best)
        margin = margin if spikes[best] else 0
        return Decision(label, self.labels, spikes, first, margin, excitation, novelty, separation, learnt)

    def _column(self, label: str) -> int:
        try:
            return self._labels.index(label)
        except ValueError:
            there = ", ".join(self._labels) or "none"
            raise UnknownLabel(f"class {label!r} is not known, expected one of: {there}; add it first") from None

    def _check_counts(self, counts: NDArray[np.uint8], ndim: int) -> None:
        expected = f"({self.n_inputs},)" if ndim == 1 else f"(m, {self.n_inputs})"
        if not isinstance(counts, np.ndarray) or counts.dtype != np.uint8:
            raise InputError(
                f"spike counts are {getattr(counts, 'dtype', type(counts).__name__)}, expected uint8 {expected}"
            )
        if counts.ndim != ndim or counts.shape[-1] != self.n_inputs:
            raise InputError(f"spike counts have shape {counts.shape}, expected {expected}")
        if counts.size and counts.max() > INPUT_STEPS:
            raise InputError(f"a spike count is {counts.max()}, expected 0..{INPUT_STEPS}: one spike a step at most")


def _check_threads(threads: int) -> None:
    if not isinstance(threads, int) or threads < 1:
        raise InputError(f"colanet: threads = {threads!r}, expected a whole number, at least 1")


def _check_label(label: str) -> None:
    if not isinstance(label, str) or not label.strip() or len(label) > MAX_LABEL or not _encodable(label):
        raise InputError(
            f"class label {label!r} is not usable, expected 1 to {MAX_LABEL} characters of valid Unicode, not all blank"
        )


def _encodable(label: str) -> bool:
    """Whether the label can be encoded as UTF-8; lone surrogates (from file names that are not UTF-8) cannot."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_background(background: NDArray[np.uint8] | None, n_inputs: int) -> NDArray[np.uint8] | None:
    if background is None or background.size == 0:
        return None
    if background.dtype != np.uint8 or background.shape != (len(background), n_inputs):
        raise InputError(
            f"background counts are {background.dtype} {background.shape}, expected uint8 (any number, {n_inputs})"
        )
    if background.max() > INPUT_STEPS:
        raise InputError(f"a background count is {background.max()}, expected 0..{INPUT_STEPS}")
    # the caller may change its array
    return background.copy()


def _make_columns(params: Params, n_inputs: int, threads: int, background: NDArray[np.uint8] | None) -> Columns:
    if isinstance(params.plasticity, Decorrelated):
        return DecorrelatedColumns(params, n_inputs, params.plasticity, threads, background)
    return PublishedColumns(params, n_inputs, params.plasticity, threads)
