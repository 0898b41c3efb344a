"""The places that were set on the page or over the API, kept in a file of the device's state folder.

As with the strictness, they hold until [[places]] of the configuration is changed.
"""

import json
import logging
from contextlib import suppress
from pathlib import Path

from edge_app.checks import ANYTHING, Table, list_of
from edge_app.config import Config, read_places
from edge_app.errors import InputError
from edge_app.files import GROUP_FOLDER, expanded, write_atomically
from edge_app.messages import Report
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import PLACES

FILE = PLACES
_TABLES = list_of(ANYTHING, "a list of places")


def places_in_use(configured: Config, report: Report) -> Config:
    """Return a configuration with the places that were set, if they hold; else as it is.

    A file that cannot be used is reported and left as it is. The configuration may name no state folder.
    """
    if not configured.state.folder:
        return configured
    path = expanded(configured.state.folder) / FILE
    try:
        return _read(path, configured)
    except InputError as error:
        report(logging.ERROR, "places_ignored", file=str(path), reason=str(error))
        return configured


def keep_places(configured: Config, changed: Config) -> None:
    """Keep the places of `changed` over restarts.

    Raises StateNotWritable; then the file is as before.
    """
    folder = expanded(configured.state.folder)
    # the only place that [camera] names is no section
    places = changed if changed.places_in_use() != configured.places_in_use() else configured
    tables = {"places": places.to_table()["places"], "configured": configured.to_table()["places"]}
    with os_errors(folder, f"write {FILE}"):
        folder.mkdir(mode=GROUP_FOLDER, parents=True, exist_ok=True)
        write_atomically(folder / FILE, json.dumps(tables, ensure_ascii=False, indent=1).encode())


def discard_superseded(configured: Config) -> None:
    """Remove the places that were set before [[places]] was changed: they must not return when that is changed back.

    Call it in the device that is about to use the configuration.
    """
    path = expanded(configured.state.folder) / FILE
    # a file that cannot be used is reported by `places_in_use`, a read-only disk does no harm
    with suppress(InputError, OSError):
        file = _open(path)
        if file is not None and not _holds(file, configured):
            path.unlink()


def _holds(file: Table, configured: Config) -> bool:
    # compared as sections: a key that a newer edge-app knows has its default in an older file
    return read_places(file.read("configured", _TABLES)) == configured.places


def _read(path: Path, configured: Config) -> Config:
    file = _open(path)
    if file is None:
        return configured
    holds, places = _holds(file, configured), read_places(file.read("places", _TABLES))
    return configured.with_places(places) if holds else configured


def _open(path: Path) -> Table | None:
    """Return the content of the file, None: there is none. Raises InputError."""
    try:
        return Table(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not JSON: {error}") from error
