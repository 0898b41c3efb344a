"""A small classifier that starts at once, for tests of memory; like CoLaNET it depends on the order of every call."""

import copy
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.errors import StateCorrupt, UnknownLabel
from edge_app.learner import Learner
from edge_app.messages import Decision
from edge_app.storage.exchange import write_archive
from edge_app.storage.folder import FolderLock, database_path, require_state, snapshots_path
from edge_app.storage.records import Binding, Kind
from edge_app.storage.restore import complete_restore
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store
from edge_app.storage.transaction import changing

SIZE = 32
"""Values in an embedding of these tests."""


class SimpleNetwork:
    """A drifting mean per class, stirred by a random stream that all classes share."""

    def __init__(self) -> None:
        self.means: dict[str, NDArray[np.int64]] = {}
        self.stream = 1

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.means)

    def add_class(self, label: str) -> None:
        self.stream = (self.stream * 48271 + len(self.means)) % 2147483647
        self.means[label] = np.full(SIZE, self.stream % 7, np.int64)

    def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
        if label not in self.means:
            raise UnknownLabel(label)
        self.stream = self.stream * 48271 % 2147483647
        mean = self.means[label]
        mean += (counts.astype(np.int64) * 64 - mean + self.stream % 5) >> 2

    def learn_variation(self, counts: NDArray[np.uint8], label: str) -> None:
        if label not in self.means:
            raise UnknownLabel(label)
        self.stream = self.stream * 16807 % 2147483647
        mean = self.means[label]
        mean += (counts.astype(np.int64) * 64 - mean + self.stream % 3) >> 4

    def rehearse_one(self, counts: NDArray[np.uint8], label: str) -> None:
        if label not in self.means:
            raise UnknownLabel(label)
        self.stream = self.stream * 69621 % 2147483647
        for other, mean in self.means.items():
            mean += ((counts.astype(np.int64) * 64 - mean) >> 5) * (1 if other == label else -1)

    def learn_many(self, counts: NDArray[np.uint8], labels: Sequence[str]) -> None:
        for row, label in zip(counts, labels, strict=True):
            self.learn_one(row, label)

    def predict_one(self, counts: NDArray[np.uint8]) -> Decision:
        far = [int(np.abs(mean - counts.astype(np.int64) * 64).sum()) for mean in self.means.values()]
        spikes = np.array([max(0, 10 - distance // (64 * SIZE // 4)) for distance in far], np.int32)
        best = int(spikes.argmax()) if len(far) and spikes.max() > 0 else None
        ranked = [*sorted(spikes.tolist(), reverse=True), 0]
        label = None if best is None else self.labels[best]
        margin = 0 if best is None else ranked[0] - ranked[1]
        return Decision(
            label, self.labels, spikes, (10 - spikes).astype(np.int32), margin, spikes.astype(np.int64) << 10
        )

    def input_drive(self, counts: NDArray[np.uint8], label: str) -> NDArray[np.float64]:
        if label not in self.means:
            raise UnknownLabel(label)
        return counts * self.means[label] / 64

    def copy(self) -> Self:
        return copy.deepcopy(self)

    def snapshot(self) -> bytes:
        means = {label: mean.tolist() for label, mean in self.means.items()}
        return json.dumps({"means": means, "stream": self.stream}).encode()


LEARN = {
    Kind.EXAMPLE: SimpleNetwork.learn_one,
    Kind.DREAM: SimpleNetwork.learn_variation,
    Kind.REHEARSAL: SimpleNetwork.rehearse_one,
}


class SimpleFactory:
    """Makes SimpleNetworks, and counts how often each way."""

    def __init__(self) -> None:
        self.made = self.loaded = 0

    def new(self) -> SimpleNetwork:
        self.made += 1
        return SimpleNetwork()

    def load(self, data: bytes) -> SimpleNetwork:
        self.loaded += 1
        network = SimpleNetwork()
        try:
            values = json.loads(data)
            network.means = {label: np.array(mean, np.int64) for label, mean in values["means"].items()}
            network.stream = values["stream"]
        except (ValueError, KeyError, TypeError) as error:
            raise StateCorrupt(f"no SimpleNetwork: {error}") from error
        return network


def rate_code(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spike counts 0..10 of embeddings, (n,) or (m, n)."""
    return (values // 25).astype(np.uint8)


def binding(encoder: str = "a", params: str = "1", rate: str = "r") -> Binding:
    """The binding of a state in these tests."""
    return Binding(f"encoder-{encoder}", encoder * 64, SIZE, rate * 64, params * 64, {"params": params})


def embedding(seed: int, kind: int = 0) -> NDArray[np.uint8]:
    """An embedding; those of one `kind` are near to one another."""
    centre = np.random.default_rng(1000 + kind).integers(20, 230, SIZE)
    noise = np.random.default_rng(seed).integers(-8, 9, SIZE)
    return np.clip(centre + noise, 0, 255).astype(np.uint8)


def open_learner(
    folder: Path,
    *,
    read_only: bool = False,
    bound: Binding | None = None,
    factory: SimpleFactory | None = None,
    **how: object,
) -> Learner:
    """Open a learner on `folder` as `Learner.open` does, with the simple network."""
    lock = None
    path = database_path(folder)
    if read_only:
        require_state(folder)
        store = Store.reader(path)
    else:
        lock = FolderLock(folder)
        try:
            complete_restore(folder)
            store = Store.open(path) if path.exists() else Store.create(path, bound or binding())
        except BaseException:
            lock.release()
            raise
    return Learner(store, Snapshots(snapshots_path(folder)), rate_code, factory or SimpleFactory(), lock=lock, **how)  # type: ignore[arg-type]


def clean_replay(folder: Path) -> bytes:
    """Return the snapshot of a network that has learnt the stored journal from the beginning, one example at a time."""
    network = SimpleNetwork()
    with Store.reader(database_path(folder)) as store:
        for entry in store.journal():
            if entry.label not in network.labels:
                network.add_class(entry.label)
            learn = LEARN[entry.kind]
            learn(network, rate_code(np.frombuffer(entry.embedding, np.uint8)), entry.label)
    return network.snapshot()


def taught_only(examples: Sequence[tuple[NDArray[np.uint8], str] | tuple[NDArray[np.uint8], str, Kind]]) -> bytes:
    """Return the snapshot of a network that learnt only these examples, each of the kind that a third value names."""
    network = SimpleNetwork()
    for values, label, *kind in examples:
        if label not in network.labels:
            network.add_class(label)
        LEARN[kind[0] if kind else Kind.EXAMPLE](network, rate_code(values), label)
    return network.snapshot()


def present_again(learner: Learner, examples: Sequence[int]) -> None:
    """Present stored examples once more, as an import may ask, and learn them."""
    with changing(learner._store._db) as change:
        for example in examples:
            change.insert_presentation(example)
    learner._catch_up()


def export(store: Store, target: Path, labels: Sequence[str] | None = None) -> int:
    """Write examples to a zip file; return their number."""
    with target.open("wb") as file:
        return write_archive(store, file, labels)


def folder_in_memory(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder in memory where the system has such a place: a commit to a disk takes milliseconds."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield factory.mktemp("state")
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="edge-app-test-") as name:
        yield Path(name)
