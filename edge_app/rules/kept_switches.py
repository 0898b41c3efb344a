"""The rules that were switched on or off on the page or over the API, kept in a file of the state folder.

As with the strictness, this holds until `enabled` of the rule itself is given another value.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from edge_app.checks import FLAG, Table, list_of, table_of
from edge_app.config import RuleConfig
from edge_app.errors import EdgeAppError
from edge_app.files import write_atomically
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import RULES

FILE = RULES
_PAIRS = table_of(list_of(FLAG, "two flags", 2, 2))


class KeptSwitches:
    """Which rules are switched on; for one thread."""

    def __init__(self, path: Path | None, rules: Sequence[RuleConfig]) -> None:
        """Read the file at `path`, None: keep it in memory only. A file that cannot be read counts as missing."""
        self._path = path
        self._configured = {rule.name: rule.enabled for rule in rules}
        self._set: dict[str, bool] = {}
        if path is not None:
            with suppress(OSError, ValueError, RecursionError):
                found = Table(json.loads(path.read_bytes())).read("switched", _PAIRS)
                # a rule that is gone, or that the configuration switches now, is forgotten
                self._set = {
                    name: on for name, (on, configured) in found.items() if self._configured.get(name) == configured
                }

    @property
    def switched(self) -> Mapping[str, bool]:
        """Name -> on, of the rules that were switched."""
        return dict(self._set)

    def set(self, name: str, on: bool) -> None:
        """Keep the switch of a rule, also over a restart; where it cannot be written, a warning is logged."""
        self._set[name] = on
        if self._path is None:
            return
        rows = {name: [on, self._configured[name]] for name, on in self._set.items()}
        try:
            with os_errors(self._path.parent, f"write {FILE}"):
                write_atomically(self._path, json.dumps({"switched": rows}, ensure_ascii=False, indent=1).encode())
        except EdgeAppError as error:  # it counts until the program ends
            logging.getLogger(__name__).warning("%s", error)
