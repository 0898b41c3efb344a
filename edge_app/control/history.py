"""The history for clients: the visits of a running device, and teaching from them."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from edge_app.config import HistoryConfig
from edge_app.control.errors import Busy, VisitGone
from edge_app.control.ids import MAX_IDS
from edge_app.control.outside import OutsidePictures
from edge_app.control.status import HistoryState
from edge_app.errors import EdgeAppError, InputError
from edge_app.history.records import StoredVisit, VisitFilter, VisitGroup
from edge_app.history.store import HistoryStore
from edge_app.pipeline.commands import StoredPicture
from edge_app.pipeline.events import Taught
from edge_app.roles import Role

KEPT = 24
"""Entries of the tray."""

FindStore = Callable[[], HistoryStore | None]
"""Returns the open database; None while it cannot be opened."""
WhyStopped = Callable[[], str | None]
"""Returns why nothing is recorded at the moment; None: it is."""
ClassOf = Callable[[int], str | None]
"""Returns the class of a stored example; None: there is no such example."""
TeachStored = Callable[[str, Sequence[StoredPicture], str], list[Taught]]
"""Class, pictures and who asks -> the examples that they became. All or none, as one action."""


class DeviceHistory:
    """The visits of a running device; safe to use from any thread."""

    def __init__(
        self,
        find: FindStore,
        stopped: WhyStopped,
        config: HistoryConfig,
        outside: OutsidePictures,
        teach: TeachStored,
        class_of: ClassOf,
    ) -> None:
        self._find = find
        self.stopped = stopped
        self._class_of = class_of
        self.picture_role = cast(Role, config.picture_role)
        """The role that a client needs to see pictures."""
        self.state: HistoryState = "on" if config.pictures else "without pictures"
        self._outside = outside
        self._teach = teach
        # the second of two requests for the same visit must see that it was taught
        self._teaching = threading.Lock()

    @property
    def store(self) -> HistoryStore:
        """The visits: for reading, counting, dismissing and deleting. Raises Busy."""
        found = self._find()
        if found is None:
            raise Busy("the history's database cannot be opened now; the device's log says why, and tries again")
        return found

    @property
    def revision(self) -> int:
        """A number that every change raises; 0 while the database cannot be opened."""
        found = self._find()
        return 0 if found is None else found.revision

    def tray(self) -> list[StoredVisit]:
        """Return the newest unsure visits that have a picture, the newest first: for a person to label."""
        return self.store.page(VisitFilter(unsure=True, picture=True), limit=KEPT).visits

    def groups(self, place: str | None = None) -> list[VisitGroup]:
        """Return unknown visits that look alike; of a large group as many as one request may name."""
        return [one._replace(visits=one.visits[:MAX_IDS]) for one in self.store.groups(place)]

    def teach(self, ids: Sequence[int], label: str, source: str) -> list[Taught]:
        """Teach the pictures of visits, in the order of `ids`, as examples of one class: all or none, as one action.

        Raises VisitGone, InputError for a visit that was taught before, and what the teacher raises.
        """
        with self._teaching:
            taught = self._teach(label, [self._teachable(number) for number in ids], source)
            try:
                self.store.taught([(number, one.example) for number, one in zip(ids, taught, strict=True)], label)
            except EdgeAppError as error:
                # the examples are stored, which is what was asked for
                logging.getLogger(__name__).warning("the history does not show that visits were taught: %s", error)
        return taught

    def _teachable(self, number: int) -> StoredPicture:
        try:
            visit, jpeg, embedding = self.store.visit(number), self.store.picture(number), self.store.embedding(number)
        except InputError as error:
            raise VisitGone(f"{error}. Nothing was taught") from error
        # the examples decide: the history follows an undo some seconds later
        if visit.example is not None and (label := self._class_of(visit.example)) is not None:
            raise InputError(
                f"visit {number} was taught as {label}: move its example, {visit.example}, to another class instead. "
                "Nothing was taught"
            )
        if jpeg is None:
            raise VisitGone(f"visit {number} has no picture, so it cannot be taught. Nothing was taught")
        prepared = self._outside.prepare_stored(jpeg)
        # made with the encoder in use, of this very picture
        if embedding is None or prepared.thumbnail != jpeg:
            return StoredPicture(prepared.image, None, prepared.thumbnail)
        return StoredPicture(prepared.image, np.frombuffer(embedding, np.uint8), jpeg)
