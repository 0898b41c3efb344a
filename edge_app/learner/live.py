"""The network in use: one thread decides while another teaches; a rebuilt network replaces it as a whole."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.learner.replay import RateCoder, Trained
from edge_app.messages import Decision
from edge_app.storage.records import Binding, Entry
from edge_app.storage.snapshots import SnapshotKey

STEP = 32
"""Presentations learnt at a time: a decision waits for at most this many."""


class InputDrive(NamedTuple):
    """The drive of a class's column in one presentation, by input."""

    label: str
    drive: NDArray[np.float64]
    """(n_inputs,): what each input added to the column's potential, in firing thresholds."""


class LiveNetwork:
    """A trained network with a lock, held for one decision, one step of learning, or one replacement."""

    def __init__(self, trained: Trained, rate_code: RateCoder) -> None:
        self._trained = trained
        self._rate_code = rate_code
        self._deciding = threading.Lock()
        self.revision = 0
        """Another number whenever the network has changed: its earlier decisions may no longer hold."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that the network knows."""
        with self._deciding:
            return self._trained.network.labels

    @property
    def seq(self) -> int:
        """Sequence number of the last presentation learnt."""
        return self._trained.seq

    def predict(self, embedding: NDArray[np.uint8]) -> Decision:
        """Decide on one embedding, (n,)."""
        # outside the lock: the rate code is pure
        counts = self._rate_code(embedding)
        with self._deciding:
            return self._trained.network.predict_one(counts)

    def evidence(self, embedding: NDArray[np.uint8], label: str | None) -> InputDrive:
        """Return what drove the column of a class, None: the leading column. Raises InputError, UnknownLabel."""
        counts = self._rate_code(embedding)
        with self._deciding:
            network = self._trained.network
            if label is None:
                decision = network.predict_one(counts)
                if not decision.labels:
                    raise InputError("no class was taught yet, so there is no column to explain")
                # without a spike, the column that came closest to one
                label = decision.label or decision.labels[int(decision.excitation.argmax())]
            return InputDrive(label, network.input_drive(counts, label))

    def learn(self, entries: Sequence[Entry]) -> None:
        """Learn further presentations; decisions are made in between."""
        # the lock is given back after each step
        for start in range(0, len(entries), STEP):
            with self._deciding:
                self._trained.learn(entries[start : start + STEP], self._rate_code)
                self.revision += 1

    def pass_over(self, seq: int) -> None:
        """Skip the journal up to a sequence number: the network that is being rebuilt learns it."""
        # without the lock: decisions do not use it, and changes are serialised by the store's lock
        self._trained.seq = seq

    def replace(self, trained: Trained) -> None:
        """Decide with another network from now on."""
        with self._deciding:
            self._trained = trained
            self.revision += 1

    def copy(self) -> "LiveNetwork":
        """Return a copy that learns on its own."""
        with self._deciding:
            return LiveNetwork(Trained(self._trained.network.copy()), self._rate_code)

    def take_over(self, ahead: "LiveNetwork", entries: Sequence[Entry]) -> None:
        """Decide with a copy from now on, which has learnt `entries`, the next of the journal."""
        with self._deciding:
            self._trained.network = ahead._trained.network
            self._trained.note(entries)
            self.revision += 1

    def key(self, binding: Binding) -> SnapshotKey:
        """Return the key of a snapshot of the network."""
        return self._trained.key(binding)

    def state(self) -> bytes:
        """Return the network as bytes."""
        with self._deciding:
            return self._trained.network.snapshot()
