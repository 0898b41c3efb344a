"""Offers that wait for a person's decision, and the memory of those already decided.

An offer is retained by the broker, so it comes again with every connection. One that was accepted or declined is not
shown or imported a second time: what a person has undone or forgotten since stays so.
"""

import json
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from edge_app.errors import InputError
from edge_app.files import write_atomically
from edge_app.mqtt.offers import Offer
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import OFFERS_SEEN

_WRITING = threading.Lock()
"""Held while a file is changed: the places of a group share one."""
MAX_WAITING = 8
"""Offers that wait; they are kept in memory."""
REMEMBERED = 2000
FILE = OFFERS_SEEN


class Inbox:
    """Bounded; safe to use from any thread."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`folder` keeps the memory of decided offers, of all places of a group; a damaged file is started anew."""
        self._max_bytes = max_bytes
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Offer] = OrderedDict()
        """By topic: of a device's class the newest offer counts."""
        self._seen: OrderedDict[str, str] = OrderedDict()
        # a file that cannot be read now is read again before it is written
        with suppress(OSError):
            self._seen = self._remembered()

    def _remembered(self) -> "OrderedDict[str, str]":
        """Return the memory in the file; empty if it is missing or damaged. Raises OSError if it cannot be read now."""
        try:
            read = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            read = {}
        entries = read.items() if isinstance(read, dict) else ()
        return OrderedDict((key, value) for key, value in entries if isinstance(value, str))

    def put(self, topic: str, offer: Offer) -> bool:
        """Add an offer; False if it was here before. Raises InputError if there is no room."""
        with self._lock:
            # by content: the same offer comes again with each connection
            if offer.id in self._seen or any(offer.id == other.id for other in self._waiting.values()):
                return False
            others = [len(other.content) for place, other in self._waiting.items() if place != topic]
            if len(others) >= MAX_WAITING or sum(others) + len(offer.content) > self._max_bytes:
                raise InputError(
                    f"{len(others)} offers of {sum(others)} bytes wait already, there is room for {MAX_WAITING} of "
                    f"{self._max_bytes}: accept or decline some; this one comes again with the next connection"
                )
            self._waiting[topic] = offer
            return True

    def withdrawn(self, topic: str) -> None:
        """Remove an offer that its device has withdrawn."""
        with self._lock:
            self._waiting.pop(topic, None)

    def waiting(self) -> list[Offer]:
        """Return the offers that wait, the oldest first."""
        with self._lock:
            return list(self._waiting.values())

    def find(self, offer_id: str) -> Offer:
        """Return an offer that waits. Raises InputError."""
        with self._lock:
            for offer in self._waiting.values():
                if offer.id == offer_id:
                    return offer
        raise InputError(f"no offer {offer_id!r} waits: the command `offers` lists those that do")

    def settle(self, offer: Offer, outcome: str) -> None:
        """Remember the decision on an offer, which no longer waits. Raises StateNotWritable: then it still waits."""
        with _WRITING, self._lock:
            with os_errors(self._path.parent, f"read {self._path.name}"):
                # read again: another place may have decided, and a start while the disk failed must not erase it
                seen = self._remembered() | self._seen
            seen[offer.id] = outcome
            while len(seen) > REMEMBERED:
                seen.popitem(last=False)
            with os_errors(self._path.parent, f"write {FILE}"):
                write_atomically(self._path, json.dumps(seen).encode())
            # only after it is on disk: an offer must not come back after a restart
            self._seen = seen
            for topic in [topic for topic, other in self._waiting.items() if other.id == offer.id]:
                del self._waiting[topic]
