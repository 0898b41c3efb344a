"""Results in one JSON file: a result that was made from the same inputs is not measured again."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIGURES = 5
"""Digits kept behind the point."""


class ResultsFile:
    """The JSON file: {key: {"made_of": digest, "found": values}}; rewritten after each result."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self._asked: set[str] = set()

    def measure(self, key: str, made_of: Any, action: Callable[[], Any]) -> Any:
        """Return the values under `key`; run `action` if there are none, or if they were made of other inputs.

        made_of: JSON values that name everything that the values depend on.
        """
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        self._asked.add(key)
        entry = self.entries.get(key)
        if entry is None or entry["made_of"] != digest:
            sys.stderr.write(f"measuring {key}\n")
            self.entries[key] = {"made_of": digest, "found": rounded(action())}
            self._write()
        return self.entries[key]["found"]

    def found(self, key: str) -> Any:
        """Return the values kept under `key`, None when there are none."""
        entry = self.entries.get(key)
        return None if entry is None else entry["found"]

    def forget_unasked(self) -> None:
        """Remove the results that were not asked for since the file was read: the plan no longer has them."""
        self.entries = {key: entry for key, entry in self.entries.items() if key in self._asked}
        self._write()

    def _write(self) -> None:
        part = self.path.with_suffix(".part")
        # one result a line, sorted: a new measurement changes one line in the repository
        lines = (f"{json.dumps(key)}: {json.dumps(self.entries[key])}" for key in sorted(self.entries))
        part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(part, self.path)


def rounded(values: Any) -> Any:
    """Return JSON values with numbers rounded for the repository."""
    if isinstance(values, dict):
        return {key: rounded(value) for key, value in values.items()}
    if isinstance(values, list):
        return [rounded(value) for value in values]
    if isinstance(values, float):
        return round(values, FIGURES)
    return values
