"""Names of classes that are kept outside the store: by buttons, lights, the class chosen over MQTT, offers.

Such a reference follows its class when that is renamed or merged, and back when this is undone. References are kept in
a file of the state folder. What the command line changed while the service was stopped is taken from the history of
actions at the next start.
"""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_app.checks import ANYTHING, NAME, Table, list_of, table_of, whole
from edge_app.errors import EdgeAppError
from edge_app.files import write_atomically
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import CLASS_REFERENCES
from edge_app.storage.records import Action

FILE = CLASS_REFERENCES
FOLLOWED = ("rename", "merge")
"""Kinds of actions after which every example of a class belongs to another name."""
MAX_MOVES = 100
"""Moves kept for undo, which goes back as far."""

_ID = whole(0, (1 << 63) - 1)
_ROWS = list_of(table_of(ANYTHING), "a list of tables")
_TABLE = table_of(table_of(ANYTHING), "a table of tables")


@dataclass(slots=True)
class _Reference:
    configured: str
    """The name that its owner gave."""
    label: str
    """The name of that class now."""
    moves: list[tuple[int, str]] = field(default_factory=list)
    """(action, label before it), the oldest first."""

    def follow(self, action: Action) -> None:
        to = next((change.after for change in action.changes if change.before == self.label), None)
        if action.kind in FOLLOWED and to is not None:
            # only as many as undo can take back
            self.moves = [*self.moves[-MAX_MOVES + 1 :], (action.id, self.label)]
            self.label = to

    def undo(self, action: Action) -> None:
        before = next((label for number, label in self.moves if number == action.id), None)
        if before is None and action.kind == "rename":  # the reference was made after the class was renamed
            before = next((change.before for change in action.changes if change.after == self.label), None)
        if before is not None:
            self.label = before
            self.moves = [move for move in self.moves if move[0] < action.id]


class ClassReferences:
    """References by a key of their owner, such as "button left"; safe to use from any thread."""

    def __init__(self, path: Path | None = None, history: Sequence[Action] = ()) -> None:
        """Read the file at `path`, None: keep them in memory only. `history` are the actions that undo can take back.

        A file that cannot be read is started anew, from the names that the owners give.
        """
        self._path = path
        self._lock = threading.Lock()
        self._references: dict[str, _Reference] = {}
        newest = history[-1].id if history else 0
        self._last_action = newest
        if path is not None:
            with suppress(OSError, ValueError, RecursionError):
                self._load(json.loads(path.read_bytes()))
        # the command line may have renamed classes while the service was stopped
        self._catch_up(history)
        self._last_action = max(self._last_action, newest)

    def label(self, key: str, configured: str) -> str:
        """Return the present name of the class that the owner of `key` calls `configured`.

        The reference begins with the first call. If the owner gives another name than before, it begins anew.
        """
        with self._lock:
            known = self._references.get(key)
            # another name in the configuration is a new intention
            if known is None or known.configured != configured:
                known = self._references[key] = _Reference(configured, configured)
                self._save()
            return known.label

    def set(self, key: str, label: str) -> None:
        """Let `key` refer to the class that is called `label` now."""
        with self._lock:
            known, new = self._references.get(key), _Reference(label, label)
            # no write without a change: cards wear
            if known != new:
                self._references[key] = new
                self._save()

    def find(self, key: str) -> str | None:
        """Return the present name of the class that `key` refers to, None if there is no such reference."""
        with self._lock:
            known = self._references.get(key)
            return None if known is None else known.label

    def remove(self, key: str) -> None:
        """Remove a reference; harmless if there is none."""
        with self._lock:
            if self._references.pop(key, None) is not None:
                self._save()

    def items(self, prefix: str) -> Mapping[str, str]:
        """Return {rest of the key: label} of the references whose key begins with `prefix`."""
        with self._lock:
            return {
                key.removeprefix(prefix): one.label for key, one in self._references.items() if key.startswith(prefix)
            }

    def follow(self, action: Action, *, undone: bool) -> None:
        """Follow a correction that was stored or undone."""
        if action.kind not in FOLLOWED:
            return
        with self._lock:
            for one in self._references.values():
                if undone:
                    one.undo(action)
                else:
                    one.follow(action)
            self._last_action = max(self._last_action, action.id)
            self._save()

    def _catch_up(self, history: Sequence[Action]) -> None:
        """Follow the actions that the file does not know of, and take back the moves of actions that were undone."""
        stored = {action.id for action in history}
        # an action that is older than the history can no longer be undone: its moves stay
        oldest = min(stored, default=self._last_action + 1)
        for one in self._references.values():
            undone = [(number, label) for number, label in one.moves if number >= oldest and number not in stored]
            if undone:
                one.label = undone[0][1]
                # actions are undone from the last backwards, so later moves are gone as well
                one.moves = [move for move in one.moves if move[0] < undone[0][0]]
        for action in history:
            if action.id > self._last_action:
                for one in self._references.values():
                    one.follow(action)

    def _load(self, content: Any) -> None:
        file, found = Table(content), {}
        for key, values in file.read("references", _TABLE).items():
            row = Table(values)
            moves = [
                (Table(move).read("action", _ID), Table(move).read("label", NAME)) for move in row.read("moves", _ROWS)
            ]
            found[key] = _Reference(row.read("configured", NAME), row.read("label", NAME), moves)
        self._last_action = file.read("last_action", _ID)
        self._references = found

    def _save(self) -> None:
        if self._path is None:
            return
        rows = {
            key: {
                "configured": one.configured,
                "label": one.label,
                "moves": [{"action": action, "label": label} for action, label in one.moves],
            }
            for key, one in self._references.items()
        }
        content = json.dumps({"last_action": self._last_action, "references": rows}, ensure_ascii=False, indent=1)
        try:
            with os_errors(self._path.parent, f"write {FILE}"):
                write_atomically(self._path, content.encode())
        except EdgeAppError as error:  # the history still tells at the next start
            logging.getLogger(__name__).warning("%s", error)
