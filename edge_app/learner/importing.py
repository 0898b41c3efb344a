"""Imports: examples from outside become examples of this device, are stored in pieces, and are used all or not at all.

A piece is stored without its classes, so that nobody sees it; the last step gives all examples their classes, as one
action. What a failed or interrupted import leaves is deleted, at the latest at the next start.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from edge_app.errors import EdgeAppError, InputError, StateNotWritable
from edge_app.learner.pictures import as_thumbnail
from edge_app.storage.records import Action, NewExample, imported_source
from edge_app.storage.store import Store
from edge_app.text import printable

logger = logging.getLogger(__name__)

PIECE = 32
"""Presentations stored in one transaction: on a slow card it takes a tenth of a second, and presses wait for it."""


class PendingImport(NamedTuple):
    """The examples of an import that are not stored yet."""

    examples: Mapping[int, NewExample]
    """Place in the imported file -> example."""
    order: Sequence[int]
    """Places, in the order of presentation."""
    thumbnail: Callable[[int], bytes | None]
    own: bool = False
    """Whether this device made the examples: their sources and thumbnails are stored as they are."""

    def pieces(self) -> Iterator[Sequence[int]]:
        """Yield the order in pieces that are stored one after the other."""
        for start in range(0, len(self.order), PIECE):
            yield self.order[start : start + PIECE]


class Importer:
    """Stores imports for a learner; one at a time."""

    def __init__(
        self,
        store: Store,
        changing: Callable[[], AbstractContextManager[None]],
        clock: Callable[[], int],
        side: int | None,
    ) -> None:
        """`changing` holds the lock of the store for a change; `clock` returns the wall clock in nanoseconds.

        `side` is that of the encoder's input, pixels: thumbnails get this size; None: they are stored as they are.
        """
        self._store = store
        self._changing = changing
        self._clock = clock
        self._side = side
        # an event, not a flag: a pause between two pieces ends at once when imports are refused
        self._closed = threading.Event()

    def refuse(self) -> None:
        """Refuse imports from now on, including one that is being stored."""
        self._closed.set()

    def check_allowed(self) -> None:
        """Raise StateNotWritable once imports are refused."""
        if self._closed.is_set():
            raise StateNotWritable(f"{self._store.path.parent} is being closed: nothing was imported, do it again")

    def run(self, incoming: PendingImport, adopted: Callable[[], None], *, paced: bool) -> Action | None:
        """Store the examples as one action and return it; None if there are none.

        `adopted` is called when they have been taken into use, while the lock of the store is still held. `paced`:
        rest after each piece as long as it took. Raises InputError, StateNotWritable: then nothing is stored.
        """
        staged: dict[int, int] = {}
        try:
            for piece in incoming.pieces():
                began = time.monotonic()
                # decoded before the lock is taken: presses do not wait for it. A place may occur again: a rehearsal of
                # the other device
                new = {place: self._prepared(incoming, place) for place in dict.fromkeys(piece) if place not in staged}
                self.check_allowed()
                with self._changing():
                    # asked again: it may have been refused while this waited for the lock
                    self.check_allowed()
                    staged |= self._store.stage(new, piece, staged)
                if paced:
                    # half of the time at most, so that the live loop keeps its rate
                    self._closed.wait(time.monotonic() - began)
            labels = {example: incoming.examples[place].label for place, example in staged.items()}
            return self._adopt(labels, adopted) if labels else None
        except BaseException:  # Ctrl-C too: what was stored would take room until the next start
            self._discard(list(staged.values()))
            raise

    def _prepared(self, incoming: PendingImport, place: int) -> NewExample:
        """Return an example, with its thumbnail, as it is stored here. Raises InputError.

        What the file says of its origin answers for the other device only: the source is marked as imported, a time in
        the future becomes the present time, and decisions of another network are left out.
        """
        new, now_ns = incoming.examples[place], self._clock()
        try:
            jpeg = incoming.thumbnail(place)
            if incoming.own:
                return NewExample(new.embedding, new.label, now_ns, printable(new.source), jpeg)
            if jpeg is not None and self._side is not None:
                jpeg = as_thumbnail(jpeg, self._side)
        except InputError as error:
            raise InputError(f"example {place}: {error}; nothing was imported") from error
        time_ns = new.time_ns if 0 <= new.time_ns <= now_ns else now_ns
        return NewExample(new.embedding, new.label, time_ns, imported_source(new.source), jpeg)

    def _adopt(self, labels: Mapping[int, str], adopted: Callable[[], None]) -> Action:
        with self._changing():
            self.check_allowed()
            if not labels.keys() <= set(self._store.forgotten()):  # deleted to make room for what was taught meanwhile
                raise StateNotWritable(f"{self._store.path.parent} became full: nothing was imported")
            action = self._store.adopt("import", self._clock(), labels)
            adopted()
            return action

    def _discard(self, staged: Sequence[int]) -> None:
        if not staged:
            return
        try:
            with self._changing():
                self._store.discard(staged)
        except EdgeAppError as error:
            logger.warning("%s; what was stored of the import takes room until the next start", error)
