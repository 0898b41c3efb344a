"""The columns of a network: their synapses, one presentation through them, adding and removing columns."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.kernels import ColumnActivity, Dynamics, Scratch
from edge_app.colanet.params import INPUT_STEPS, Params
from edge_app.errors import ParameterError, StateCorrupt

WORK_A_THREAD = 1 << 18
"""Multiplications below which a further thread costs more than it saves."""
ADDED_AT_ONCE = 16
"""Weights that are summed in the time of one multiplication."""

Result = TypeVar("Result")


class Appraisal(NamedTuple):
    """Properties of the decision on an example, besides its label."""

    novelty: int
    """Distance from what was taught, in 1/1024 octave; high for a stranger."""
    separation: int
    """How much further the next class is than the winner's, in 1/1024 octave; 0 with a single class."""
    learnt: int
    """Examples that the winner has learnt."""


Arrays = dict[str, NDArray[Any]]


class Columns(ABC):
    """The columns of one network, neurons numbered as in `kernels`; a subclass is a plasticity rule.

    weights (n_inputs, neurons) int16, threshold and tonic (neurons,) int32, in the rule's format of weights.
    neuron_arrays names the rule's own arrays, (neurons, ...), whose rows are added and removed with a column.
    """

    dynamics: Dynamics
    weight_limit: ClassVar[int]
    """Largest absolute weight, in its format."""
    neuron_arrays: ClassVar[Mapping[str, tuple[np.dtype[Any], bool]]] = {}
    """name -> (type, whether it has an entry per input)."""
    ranks: ClassVar[tuple[int, ...]] = (kernels.SPIKES,)
    """Rows of a tally that columns are ranked by, greatest first."""
    ranges: ClassVar[Mapping[str, tuple[int, int]]] = {}
    """name -> least and greatest value that a learnt array may hold; the kernels rely on them."""

    def __init__(self, params: Params, n_inputs: int, threads: int) -> None:
        self.params = params
        self.n_inputs = n_inputs
        self.keys = np.empty(0, np.int64)
        self.weights = np.empty((n_inputs, 0), np.int16)
        self.threshold = np.empty(0, np.int32)
        self.tonic = np.empty(0, np.int32)
        for name, (dtype, per_input) in self.neuron_arrays.items():
            setattr(self, name, np.empty((0, n_inputs) if per_input else 0, dtype))
        self._ranks = np.array(self.ranks, np.int64)
        # int16: `check_size` admits fewer than 2^15 inputs
        self._order = np.empty((INPUT_STEPS + 1, n_inputs), np.int16)
        self._filled = np.empty(INPUT_STEPS + 1, np.int64)
        self._threads = threads
        # threads, not processes: the kernels release the GIL and write to shared arrays
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._resize_scratch()

    @staticmethod
    def check_size(n_inputs: int, weight_limit: int) -> None:
        """Raise ParameterError unless every potential fits int32."""
        # 2: weights and tonic inhibition, which may both reach T n_inputs weight_limit
        largest = (2**31 - 1) // (2 * INPUT_STEPS * weight_limit)
        if not 1 <= n_inputs <= largest:
            raise ParameterError(
                f"colanet: n_inputs = {n_inputs} is out of range, expected 1 to {largest}: with weights up to "
                f"{weight_limit} more inputs could overflow a 32-bit potential"
            )

    @property
    def per_column(self) -> int:
        """L neurons of a column, over all members."""
        return self.params.members * self.params.microcolumns

    def present(self, counts: NDArray[np.uint8], presentation: int = -1) -> ColumnActivity:
        """Show counts (n_inputs,) to all columns; the result is overwritten by the next call.

        presentation: how many examples were learnt before this one; -1 for a decision, which has no noise.
        """
        columns = self.keys.size
        kernels.group(counts, self._order, self._filled)

        def part(start: int, stop: int) -> None:
            kernels.present(
                self.weights,
                self._order,
                self._filled,
                self._steady,
                self.threshold,
                self.dynamics,
                self.keys,
                presentation,
                self.params.members,
                start,
                stop,
                self._scratch,
                self._activity,
            )

        if columns:
            self.spread(part, columns, self.n_inputs * self.per_column // ADDED_AT_ONCE)
        return self._activity

    def decide(self, counts: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.int64]]:
        """Return the winning column, its margin in OUT spikes, and the tally (5, columns).

        Rows of the tally: `kernels.SPIKES` .. `kernels.EXCITATION`; the next call overwrites it. Needs at least one
        column.
        """
        activity = self.present(counts)
        kernels.tally(activity, self.threshold, self._totals)
        best, margin = kernels.winner_of(self._totals, self._ranks)
        return best, margin, self._totals

    def input_drive(self, counts: NDArray[np.uint8], column: int) -> NDArray[np.float64]:
        """Return what each input of counts (n_inputs,) adds to a column's potential: (n_inputs,), in firing thresholds.

        Of each member the neuron counts that fired, or else had the highest potential; tonic inhibition is left out.
        """
        activity = self.present(counts)
        # float64 from here on: an explanation for people, which no decision depends on
        members = np.arange(self.params.members)
        neurons = column * self.per_column + members * self.params.microcolumns + activity.winner[column]
        weights = self.weights[:, neurons].astype(np.float64)
        drive: NDArray[np.float64] = counts * (weights / np.maximum(self.threshold[neurons], 1)).sum(axis=1)
        return drive

    def appraise(self, counts: NDArray[np.uint8], best: int) -> Appraisal:
        """Return how new and how clear the counts are that `decide` was last called with; best: the winning column.

        Nothing is told, all 0, where the rule has no metric to tell it in.
        """
        return Appraisal(0, 0, 0)

    def add(self, key: int) -> None:
        """Append an untrained column; `key` names its random stream."""
        new = self.per_column
        self.keys = np.append(self.keys, np.int64(key))
        # copied: classes are added seldom, and contiguous rows make every presentation quicker
        self.weights = np.hstack([self.weights, np.zeros((self.n_inputs, new), np.int16)])
        self.threshold = np.append(self.threshold, np.zeros(new, np.int32))
        self.tonic = np.append(self.tonic, np.zeros(new, np.int32))
        for name in self.neuron_arrays:
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((new, *old.shape[1:]), old.dtype)]))
        # before _born, which computes weights into it
        self._resize_scratch()
        self._born(slice(self.threshold.size - new, self.threshold.size))

    def remove(self, column: int) -> None:
        """Remove a column; the indices of those after it fall by one."""
        gone = slice(column * self.per_column, (column + 1) * self.per_column)
        self.keys = np.delete(self.keys, column)
        self.weights = np.delete(self.weights, gone, axis=1)
        for name in ("threshold", "tonic", *self.neuron_arrays):
            setattr(self, name, np.delete(getattr(self, name), gone, axis=0))
        self._resize_scratch()
        self._removed()

    def arrays(self) -> Arrays:
        """Return the learnt state by name, without weights that can be computed from the rest."""
        # the arrays themselves, without copies: the caller holds the network's lock and serialises them
        return {name: getattr(self, name) for name in ("keys", *self.neuron_arrays)}

    def load(self, arrays: Arrays) -> None:
        """Restore the state that `arrays` returned.

        Raises StateCorrupt when a name, a shape, a type or a value is not as expected.
        """
        neurons = arrays["keys"].size * self.per_column if "keys" in arrays else 0
        shapes = {"keys": (np.dtype(np.int64), (neurons // self.per_column,))} | {
            name: (dtype, (neurons, self.n_inputs) if per_input else (neurons,))
            for name, (dtype, per_input) in self.neuron_arrays.items()
        }
        self._check_arrays(arrays, shapes)
        for name in shapes:
            # the kernels are compiled for contiguous arrays, and would be compiled anew for others
            setattr(self, name, np.ascontiguousarray(arrays[name]))
        self.weights = np.zeros((self.n_inputs, neurons), np.int16)
        self.threshold = np.zeros(neurons, np.int32)
        self.tonic = np.zeros(neurons, np.int32)
        self._resize_scratch()
        self._renew(slice(0, neurons))

    @abstractmethod
    def learn(self, counts: NDArray[np.uint8], column: int, presentation: int) -> None:
        """Learn that counts (n_inputs,) show the class of `column`; presentation: examples learnt before."""

    def vary(self, counts: NDArray[np.uint8], column: int) -> None:  # noqa: B027 optional for a rule
        """Learn counts (n_inputs,) as a variation of what a column has learnt already; by default nothing."""

    def rehearse(self, counts: NDArray[np.uint8], column: int) -> None:  # noqa: B027 optional for a rule
        """Learn counts (n_inputs,), an example that `column` has learnt, once more; by default nothing."""

    @abstractmethod
    def _born(self, neurons: slice) -> None:
        """Set the state of new neurons, whose arrays hold zeros."""

    @abstractmethod
    def _removed(self) -> None:
        """Recompute the state that depends on the set of columns, after one was removed."""

    @abstractmethod
    def _refresh(self, neurons: slice) -> None:
        """Compute weights and thresholds from the loaded state."""

    def _renew(self, neurons: slice) -> None:
        """Recompute everything derived from the learnt state, after it changed."""
        self._refresh(neurons)
        kernels.spread_evenly(self.tonic, self._steady)

    def spread(self, part: Callable[[int, int], Result], n: int, cost: int) -> list[Result]:
        """Return part(start, stop) over 0..n, split into blocks for several threads when n * cost is large enough.

        The blocks write different elements, or their results are summed as integers, so the result does not depend on
        the number of blocks.
        """
        # small networks stay on one thread: handing work over takes longer than the work
        blocks = max(1, min(self._threads, n, n * cost // WORK_A_THREAD))
        if self._pool is None or blocks == 1:
            return [part(0, n)]
        # multiplied before divided: the blocks differ by one element at most
        bounds = [n * block // blocks for block in range(blocks + 1)]
        return list(self._pool.map(part, bounds[:-1], bounds[1:]))

    def _check_arrays(self, arrays: Arrays, shapes: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
        for name, (dtype, shape) in shapes.items():
            found = arrays.get(name)
            if found is None or found.dtype != dtype or found.shape != shape:
                what = "nothing" if found is None else f"{found.dtype} {found.shape}"
                raise StateCorrupt(f"colanet state: {name} holds {what}, expected {dtype} {shape}")
            if found.size and name in self.ranges:
                low, high = self.ranges[name]
                # a value out of range would overflow in a kernel, which does not check
                if found.min() < low or found.max() > high:
                    raise StateCorrupt(
                        f"colanet state: {name} holds {found.min()} to {found.max()}, expected {low} to {high}"
                    )

    def _resize_scratch(self) -> None:
        neurons, columns = self.threshold.size, self.keys.size
        self._steady = np.zeros((INPUT_STEPS, neurons), np.int32)
        self._scratch = Scratch(
            sums=np.empty((INPUT_STEPS + 1, neurons), np.int32),
            drive=np.empty((INPUT_STEPS, neurons), np.int32),
            u=np.empty(neurons, np.int64),
            free_at=np.empty(neurons, np.int64),
        )
        self._totals = np.empty((kernels.EXCITATION + 1, columns), np.int64)
        shape = (columns, self.params.members)
        self._activity = ColumnActivity(*(np.empty(shape, np.int32) for _ in ColumnActivity._fields))
