"""Remembers on which topics of which broker this device left retained messages.

So that they can be removed after a change of the device's name, of the topics' base or of the discovery prefix: a
broker keeps retained messages for ever, and without this list nobody knows the old topics.
"""

import json
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edge_app.checks import list_of, table_of, text
from edge_app.errors import EdgeAppError
from edge_app.files import write_atomically
from edge_app.storage.errors import os_errors

FILE = "mqtt-retained.json"
MAX_BROKERS = 8
"""Brokers remembered; of more, the one used longest ago is forgotten."""
_TABLE = table_of(list_of(text(), "a list of topics"))


class RetainedTopics:
    """The topics at one broker; safe to use from any thread."""

    def __init__(self, folder: Path, broker: str) -> None:
        """`broker` is HOST:PORT. A file that cannot be read is started anew."""
        self._path = folder / FILE
        self._broker = broker
        self._lock = threading.Lock()
        self._all: dict[str, list[str]] = {}
        # without the list old topics may stay on the broker: no reason not to start
        with suppress(OSError, ValueError, RecursionError):
            table = _TABLE.convert(json.loads(self._path.read_bytes()))
            self._all = {name: list(topics) for name, topics in table.items()}

    @property
    def topics(self) -> frozenset[str]:
        """The remembered topics."""
        with self._lock:
            return frozenset(self._all.get(self._broker, ()))

    def add(self, topics: Iterable[str]) -> None:
        """Remember topics; to be called before anything is published there."""
        with self._lock:
            known = set(self._all.get(self._broker, ()))
            if not known.issuperset(wanted := set(topics)):
                self._save(known | wanted)

    def discard(self, topic: str) -> None:
        """Forget a topic whose message the broker has removed."""
        with self._lock:
            known = set(self._all.get(self._broker, ()))
            if topic in known:
                self._save(known - {topic})

    def _save(self, topics: set[str]) -> None:
        table = {name: kept for name, kept in self._all.items() if name != self._broker}
        while len(table) >= MAX_BROKERS:
            del table[next(iter(table))]
        table[self._broker] = sorted(topics)
        self._all = table
        try:
            with os_errors(self._path.parent, f"write {FILE}"):
                write_atomically(self._path, json.dumps(table, ensure_ascii=False, indent=1).encode())
        except EdgeAppError as error:  # the worst that follows is an old entity in Home Assistant
            logging.getLogger(__name__).warning("%s", error)
