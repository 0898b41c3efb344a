"""The fast network and its slow twin, side by side; and a stream of integers for tests that need many."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.colanet.reference import DecorrelatedReference, Neuron, ReferenceNetwork


def lehmer(seed: int) -> Iterator[int]:
    """MINSTD (Park and Miller 1988; multiplier 48271): 1 <= x < 2^31 - 1, the same on every machine for ever."""
    state = seed % 2147483646 + 1
    while True:
        state = state * 48271 % 2147483647
        yield state


def prototypes(seed: int, classes: int, n_inputs: int) -> list[list[int]]:
    """Spike counts that a class is made of."""
    stream = lehmer(seed)
    return [[next(stream) % 11 for _ in range(n_inputs)] for _ in range(classes)]


def around(prototype: Sequence[int], stream: Iterator[int], spread: int = 2) -> list[int]:
    """Return a prototype with every count moved by up to `spread`, in 0..10."""
    return [min(max(count + next(stream) % (2 * spread + 1) - spread, 0), 10) for count in prototype]


def as_counts(values: Sequence[int]) -> np.ndarray:
    return np.array(values, np.uint8)


NEURON_ARRAYS = {
    Published: ("resource", "stability", "outstanding"),
    Decorrelated: ("mean", "drive", "correction", "uses"),
}


class Twins:
    """Does everything in both, and compares after every step."""

    def __init__(
        self, params: Params, n_inputs: int, threads: int = 1, background: Sequence[Sequence[int]] = ()
    ) -> None:
        counts = np.array(background, np.uint8).reshape(len(background), n_inputs)
        self.fast = CoLaNET(params, n_inputs, threads=threads, background=counts)
        self.slow = ReferenceNetwork(params, n_inputs, background)

    @property
    def neurons(self) -> list[Neuron]:
        return [neuron for column in self.slow.columns for member in column.members for neuron in member]

    def add_class(self, label: str) -> None:
        self.fast.add_class(label)
        self.slow.add_class(label)
        self.compare()

    def remove_class(self, label: str) -> None:
        self.fast.remove_class(label)
        self.slow.remove_class(label)
        self.compare()

    def learn_one(self, counts: Sequence[int], label: str) -> None:
        self.fast.learn_one(as_counts(counts), label)
        self.slow.learn_one(counts, label)
        self.compare()

    def rehearse_one(self, counts: Sequence[int], label: str) -> None:
        self.fast.rehearse_one(as_counts(counts), label)
        self.slow.rehearse_one(counts, label)
        self.compare()

    def predict_one(self, counts: Sequence[int]) -> int:
        """Returns the number of OUT spikes."""
        decision, answer = self.fast.predict_one(as_counts(counts)), self.slow.predict_one(counts)
        assert decision.labels == self.slow.labels
        assert decision.spikes.tolist() == answer.spikes
        assert decision.first_spike.tolist() == answer.first_spike
        assert (decision.label, decision.margin) == (answer.label, answer.margin)
        assert decision.excitation.tolist() == answer.excitation
        assert decision[-3:] == answer[-3:]
        return sum(answer.spikes)

    def put(self, state: dict[str, Any]) -> None:
        """Overwrite the learnt state of both, and let weights and thresholds follow."""
        columns = self.fast.columns
        for name in NEURON_ARRAYS[type(self.fast.params.plasticity)]:
            getattr(columns, name)[:] = state[name]
            for neuron, value in zip(self.neurons, state[name], strict=True):
                setattr(neuron, name, value)
        if isinstance(self.slow.rule, DecorrelatedReference):
            columns.decorrelation[:] = state["decorrelation"]
            self.slow.rule.decorrelation = [list(row) for row in state["decorrelation"]]
            self.slow.rule.refresh_all(self.slow.columns)
        else:
            for neuron in self.neurons:
                self.slow.rule.refresh(neuron)
        columns.load({name: array.copy() for name, array in columns.arrays().items()})
        self.compare()

    def compare(self) -> None:
        columns = self.fast.columns
        names = ("weights", "threshold", "tonic", *NEURON_ARRAYS[type(self.fast.params.plasticity)])
        for name in names:
            fast = columns.weights.T if name == "weights" else getattr(columns, name)
            assert fast.tolist() == [getattr(neuron, name) for neuron in self.neurons], name
        assert columns.keys.tolist() == [column.key for column in self.slow.columns]
        assert (self.fast.labels, self.fast.n_learnt) == (self.slow.labels, self.slow.n_learnt)
        if isinstance(self.slow.rule, DecorrelatedReference):
            assert columns.decorrelation.tolist() == self.slow.rule.decorrelation
            assert columns.noise.tolist() == [self.slow.rule.noise, self.slow.rule.averaged]


N = 16
RULES = {
    "decorrelated": Params(microcolumns=2, plasticity=Decorrelated(regularisation=64)),
    "published": Params(microcolumns=3, members=2, seed=5, plasticity=Published(threshold=0.5)),
}
LABELS = ("ant", "bee", "cat")


def stream(seed: int, presentations: int) -> list[tuple[np.ndarray, str]]:
    """Labelled counts: three prototypes, each count moved by up to 2."""
    numbers, patterns = lehmer(seed), prototypes(99, len(LABELS), N)
    return [
        (as_counts(around(patterns[n % len(LABELS)], numbers)), LABELS[n % len(LABELS)]) for n in range(presentations)
    ]


def taught(params: Params, presentations: int = 30, threads: int = 1) -> CoLaNET:
    network = CoLaNET(params, N, threads=threads)
    for label in LABELS:
        network.add_class(label)
    for counts, label in stream(1, presentations):
        network.learn_one(counts, label)
    return network
