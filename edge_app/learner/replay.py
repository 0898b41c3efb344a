"""From the journal to the network: network = f(program, parameters, rate code, ordered journal), to the bit.

A class exists from its first presentation on, in that order. A replay may start from a snapshot whose part of the
journal is, by its digest, the beginning of the current journal. So a correction needs no further step: snapshots that
it made wrong do not match any more.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_app import __version__
from edge_app.errors import StateCorrupt
from edge_app.messages import Decision
from edge_app.storage.records import Binding, Entry, JournalDigest, Kind, Prediction
from edge_app.storage.snapshots import SnapshotKey, Snapshots

CHUNK = 64
"""Presentations that are read and learnt at a time; between chunks a replay reports and can be abandoned."""

Progress = Callable[[int, int], None]
"""Called with the presentations learnt so far and their total."""
ReadJournal = Callable[[int, int], list[Entry]]
"""(after, limit) -> entries, as `Store.journal`."""


class Network(Protocol):
    """The classifier as the learner uses it; implemented by CoLaNET."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order in which they were added."""

    def add_class(self, label: str) -> None:
        """Add a class that has learnt nothing."""

    def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn one presentation, (n_inputs,)."""

    def learn_many(self, counts: NDArray[np.uint8], labels: Sequence[str]) -> None:
        """Learn presentations, (m, n_inputs), in order; the same bits as learning them one by one."""

    def predict_one(self, counts: NDArray[np.uint8]) -> Decision:
        """Decide on one presentation, (n_inputs,)."""

    def input_drive(self, counts: NDArray[np.uint8], label: str) -> NDArray[np.float64]:
        """Return what each input adds to the potential of a class's column, (n_inputs,), in firing thresholds."""

    def snapshot(self) -> bytes:
        """Return all that was learnt."""

    def copy(self) -> Self:
        """Return a network that knows the same, and learns on its own."""


@runtime_checkable
class Varying(Protocol):
    """A network that learns from dreams and rehearsals; others ignore them."""

    def learn_variation(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn that an example of a class could also look like counts (n_inputs,)."""

    def rehearse_one(self, counts: NDArray[np.uint8], label: str) -> None:
        """Correct what was learnt by a stored example, (n_inputs,)."""


class NetworkFactory(Protocol):
    """Makes networks of one kind, with one set of parameters."""

    def new(self) -> Network:
        """Return a network without classes."""

    def load(self, data: bytes) -> Network:
        """Return the network of a snapshot. Raises StateCorrupt."""


class RateCoder(Protocol):
    """Turns embeddings into spike counts; pure."""

    def __call__(self, values: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """Return (n_inputs,) for (n,), or (m, n_inputs) for (m, n)."""


class Trained:
    """A network, and exactly which part of the journal it has learnt."""

    def __init__(self, network: Network, journal: JournalDigest | None = None, seq: int = 0) -> None:
        self.network = network
        self.journal = journal or JournalDigest()
        self.seq = seq
        """Sequence number of the last presentation learnt."""

    def learn(self, entries: Sequence[Entry], rate_code: RateCoder) -> None:
        """Learn further presentations, in order; a class is added at its first one."""
        if not entries:
            return
        # all at once: the rate code is vectorised
        counts = rate_code(np.stack([np.frombuffer(entry.embedding, np.uint8) for entry in entries]))
        known = set(self.network.labels)
        start = 0
        for index, entry in enumerate(entries):
            # a run ends where the network must be told something in between: a new class, or another way of learning
            if entry.label not in known or entry.kind is not entries[start].kind:
                self._learn(counts[start:index], entries[start:index])
                start = index
            if entry.label not in known:
                self.network.add_class(entry.label)
                known.add(entry.label)
        self._learn(counts[start:], entries[start:])

    def key(self, binding: Binding) -> SnapshotKey:
        """Return what identifies a snapshot of this network."""
        return SnapshotKey(
            # another version may learn differently from the same journal
            program=__version__,
            encoder_sha256=binding.encoder_sha256,
            rate_code_digest=binding.rate_code_digest,
            params_digest=binding.params_digest,
            presentations=self.journal.count,
            journal_digest=self.journal.hexdigest(),
        )

    def _learn(self, counts: NDArray[np.uint8], entries: Sequence[Entry]) -> None:
        if entries and entries[0].kind is not Kind.EXAMPLE:
            if isinstance(self.network, Varying):
                dream = entries[0].kind is Kind.DREAM
                learn = self.network.learn_variation if dream else self.network.rehearse_one
                for row, entry in zip(counts, entries, strict=True):
                    learn(row, entry.label)
        elif len(entries) == 1:
            self.network.learn_one(counts[0], entries[0].label)
        elif entries:
            self.network.learn_many(counts, [entry.label for entry in entries])
        self.note(entries)

    def note(self, entries: Sequence[Entry]) -> None:
        """Count entries as learnt."""
        for entry in entries:
            self.journal.add(entry.label, entry.embedding, entry.kind)
            self.seq = entry.seq


def resume(
    binding: Binding, snapshots: Snapshots, factory: NetworkFactory, read: ReadJournal
) -> tuple[Trained, list[str]]:
    """Return the network of the newest snapshot that fits the journal, or a new one, and what was wrong with others."""
    notices: list[str] = []
    empty = SnapshotKey(__version__, binding.encoder_sha256, binding.rate_code_digest, binding.params_digest, 0, "")
    # newest first
    for path, key, payload in snapshots.candidates():
        # everything but the position in the journal has to be equal
        if key._replace(presentations=0, journal_digest="") != empty:
            notices.append(f"snapshot {path} was made with another program, encoder, rate code or parameters: not used")
            continue
        journal, seq = _digest(read, key.presentations)
        if journal.count != key.presentations or journal.hexdigest() != key.journal_digest:
            continue  # an example that it has learnt was taken back or corrected since
        try:
            return Trained(factory.load(payload), journal, seq), notices + _damaged(snapshots)
        except StateCorrupt as error:
            snapshots.damaged[path] = str(error)
    return Trained(factory.new()), notices + _damaged(snapshots)


def replay(
    trained: Trained, rate_code: RateCoder, read: ReadJournal, total: int, progress: Progress | None = None
) -> None:
    """Let a network learn what the journal holds beyond what it has learnt."""
    # until there is nothing new, rather than `total` times: examples may be stored meanwhile
    while entries := read(trained.seq, CHUNK):
        trained.learn(entries, rate_code)
        if progress is not None:
            progress(trained.journal.count, max(total, trained.journal.count))


def prediction_of(before: Decision, newest: int | None) -> Prediction:
    """Return a decision as it is stored; `newest` is the newest example of the class that was named."""
    told = (len(before.labels), before.novelty, before.separation, before.learnt)
    if before.label is None:
        return Prediction(None, None, 0, 0, *told)
    best = before.labels.index(before.label)
    # int: differences of unsigned numbers would wrap
    own, others = int(before.excitation[best]), np.delete(before.excitation, best)
    return Prediction(before.label, newest, own, own - max(int(others.max(initial=0)), 0), *told)


def _digest(read: ReadJournal, presentations: int) -> tuple[JournalDigest, int]:
    """Return the digest of the journal's first presentations, and the sequence number of the last of them."""
    journal, seq = JournalDigest(), 0
    # the digest of that very part: the snapshot's journal must be the beginning of today's
    while journal.count < presentations and (entries := read(seq, min(CHUNK, presentations - journal.count))):
        for entry in entries:
            journal.add(entry.label, entry.embedding, entry.kind)
        seq = entries[-1].seq
    return journal, seq


def _damaged(snapshots: Snapshots) -> list[str]:
    return [_notice(path, reason) for path, reason in snapshots.damaged.items()]


def _notice(path: Path, reason: str) -> str:
    return f"snapshot {path} is not used: {reason}; the network is rebuilt from the stored examples, nothing is lost"
