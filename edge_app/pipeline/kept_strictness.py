"""The strictness that was set on the page or over the API, kept in a file of the state folder.

It holds until `[decision] strictness` itself is given another value: whichever was set last counts.
"""

import json
import logging
import threading
from contextlib import suppress
from pathlib import Path

from edge_app.checks import Table, number
from edge_app.errors import EdgeAppError
from edge_app.files import write_atomically
from edge_app.rejection import DEFAULT
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import STRICTNESS

FILE = STRICTNESS
_SHARE = number(0, 1)


class KeptStrictness:
    """The strictness in use; safe to use from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file at `path`, None: keep it in memory only. A file that cannot be read counts as missing."""
        self._path = path
        self._lock = threading.Lock()
        self._configured = DEFAULT
        self._set: tuple[float, float] | None = None
        """The value that was set, and the configured one then."""
        if path is not None:
            with suppress(OSError, ValueError, RecursionError):
                file = Table(json.loads(path.read_bytes()))
                self._set = file.read("strictness", _SHARE), file.read("configured", _SHARE)

    def in_use(self, configured: float) -> float:
        """Return what was set while `[decision] strictness` was `configured`, as it is now; else that."""
        with self._lock:
            self._configured = configured
            if self._set is not None and self._set[1] != configured:
                # for good: it must not return when the configuration does
                self._set = None
                if self._path is not None:
                    with suppress(OSError):  # a read-only disk
                        self._path.unlink()
            return configured if self._set is None else self._set[0]

    def set(self, value: float) -> None:
        """Use `value` from now on, also after a restart; where it cannot be written, a warning is logged."""
        with self._lock:
            self._set = value, self._configured
            if self._path is None:
                return
            content = json.dumps({"strictness": value, "configured": self._configured}, indent=1)
            try:
                with os_errors(self._path.parent, f"write {FILE}"):
                    write_atomically(self._path, content.encode())
            except EdgeAppError as error:  # it counts until the program ends
                logging.getLogger(__name__).warning("%s", error)
