"""Dreams and rehearsals of stored examples: which is next, and storing and learning it.

They are stored with their embeddings, and removed with their examples; undo does not take them back.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import islice, takewhile
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_app.config import ConsolidationConfig
from edge_app.errors import StateCorrupt
from edge_app.learner.consolidation import ReplayTask, choose, left, schedule
from edge_app.storage.records import Dream, ReplayCandidate
from edge_app.storage.store import Store

logger = logging.getLogger(__name__)

MAX_REHEARSALS = 16
"""Rehearsals stored in one commit: one alone costs as much disk time, and a decision waits for so many at most."""


class Consolidator:
    """Consolidation for one learner; safe to use from any thread."""

    def __init__(
        self,
        store: Store,
        changing: Callable[[], AbstractContextManager[None]],
        has_room: Callable[[], bool],
        learn: Callable[[], None],
    ) -> None:
        """`changing` holds the lock of the store for a change; the others are called while it is held.

        `has_room` tells whether the folder has room for dreams; `learn` learns the new entries of the journal.
        """
        self._store = store
        self._changing = changing
        self._has_room = has_room
        self._learn = learn
        # not stored: after a restart each is tried, and reported, once more
        self._left_out: dict[int, str] = {}

    def next(self, config: ConsolidationConfig) -> ReplayTask | None:
        """Return the next dream or rehearsal; None when none is left, or when the folder is half full.

        The other half is kept free for examples. Raises StateNotWritable.
        """
        with self._changing():
            if not self._has_room():
                return None
            while (found := choose(self._candidates(), self._store.classes(), config)) is not None:
                # a damaged picture leaves the candidates, so that the loop ends
                example, number, altered = found
                try:
                    return ReplayTask(example, number, self._store.thumbnail(example) if altered else None)
                except StateCorrupt as error:
                    self.leave_out(example, str(error))
            return None

    def leave_out(self, example: int, reason: str) -> None:
        """Make no dreams of an example from now on, because its thumbnail cannot be used; log it once."""
        # setdefault returns another object if the example was left out before: logged once
        if self._left_out.setdefault(example, reason) is reason:
            logger.warning("example %d is left out of dreams: %s", example, reason)

    @property
    def left_out(self) -> Mapping[int, str]:
        """The examples of which no dreams are made since the start, and the reason."""
        return MappingProxyType(self._left_out)

    def learn_dream(self, task: ReplayTask, embedding: NDArray[np.uint8]) -> bool:
        """Store a dream, (n,) uint8, durably, and learn it. Return False if `task` is out of date.

        Raises StateNotWritable.
        """
        with self._changing():
            dreamt = {candidate.example: candidate.dreams for candidate in self._store.dreamers()}
            # encoding took time without the lock: the example may have been dreamt of or forgotten meanwhile
            if dreamt.get(task.example) != task.number:
                return False
            self._store.dream([Dream(task.example, task.number, embedding.tobytes())])
            self._learn()
        return True

    def learn_rehearsals(self, config: ConsolidationConfig, limit: int = MAX_REHEARSALS) -> int:
        """Store the rehearsals that come before the next dream, at most `limit`, in one commit, and learn them.

        Return how many there were. Raises StateNotWritable.
        """
        with self._changing():
            planned = schedule(self._candidates(), self._store.classes(), config)
            due = list(islice(takewhile(lambda choice: not choice.altered, planned), limit))
            if due:
                # no embedding: a rehearsal uses the example's own
                self._store.dream([Dream(choice.example, choice.number, b"") for choice in due])
                self._learn()
        return len(due)

    def count(self, config: ConsolidationConfig) -> tuple[int, int]:
        """Return the number of dreams learnt, and of those left to make; the caller holds the lock of the store."""
        return self._store.count_dreams(), left(self._candidates(), self._store.classes(), config)

    def _candidates(self) -> list[ReplayCandidate]:
        return [candidate for candidate in self._store.dreamers() if candidate.example not in self._left_out]
