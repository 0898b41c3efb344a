"""Remembers on which topics of which broker this device left retained messages.

So that they can be removed after a change of the device's name, of its places, of the topics' base or of the discovery
prefix: a broker keeps retained messages for ever, and without this list nobody knows the old topics. All places share
one list, because a place that is gone cannot remove its own.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from edge_app.checks import list_of, table_of, text
from edge_app.errors import EdgeAppError
from edge_app.files import write_atomically
from edge_app.storage.errors import os_errors

FILE = "mqtt-retained.json"
OF_EACH_PLACE = f"mqtt/*/{FILE}"
"""Lists of earlier versions, one for each place."""
MAX_BROKERS = 8
"""Brokers remembered; of more, the one used longest ago is forgotten."""
_TABLE = table_of(list_of(text(), "a list of topics"))


class RetainedTopics:
    """The topics of all places at one broker; safe to use from any thread."""

    def __init__(self, folder: Path, broker: str) -> None:
        """`folder` is the device's state, `broker` is HOST:PORT. A file that cannot be read is started anew."""
        self._path = folder / FILE
        self._broker = broker
        self._lock = threading.Lock()
        self._claims: list[Callable[[str], bool]] = []
        self._taken: set[str] = set()
        self._all = _read(self._path)
        self._adopt(list(folder.glob(OF_EACH_PLACE)))

    @property
    def topics(self) -> frozenset[str]:
        """The remembered topics."""
        with self._lock:
            return frozenset(self._all.get(self._broker, ()))

    def claim(self, owns: Callable[[str], bool]) -> None:
        """Note which topics a place uses; to be called by every place before the first asks for `leftovers`."""
        with self._lock:
            self._claims.append(owns)

    def leftovers(self) -> list[str]:
        """Return the topics that no place uses. The caller removes them for all: the next gets those added since."""
        with self._lock:
            known = set(self._all.get(self._broker, ())) - self._taken
            found = sorted(topic for topic in known if not any(owns(topic) for owns in self._claims))
            self._taken.update(found)
            return found

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

    def _adopt(self, paths: list[Path]) -> None:
        """Take over the lists of earlier versions, and remove their files once that is on disk."""
        for path in paths:
            for broker, topics in _read(path).items():
                self._all[broker] = sorted({*self._all.get(broker, ()), *topics})
        if paths and self._save(set(self._all.get(self._broker, ()))):
            for path in paths:
                with suppress(OSError):  # a folder may hold something else
                    path.unlink()
                    path.parent.rmdir()
                    path.parent.parent.rmdir()

    def _save(self, topics: set[str]) -> bool:
        """Set the topics at this broker; return whether they could be written."""
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
            return False
        return True


def _read(path: Path) -> dict[str, list[str]]:
    # without the list old topics may stay on the broker: no reason not to start
    with suppress(OSError, ValueError, RecursionError):
        return {name: list(topics) for name, topics in _TABLE.convert(json.loads(path.read_bytes())).items()}
    return {}
