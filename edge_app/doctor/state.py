"""The state folder: writable, with free space, its database and its history intact."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_app.doctor.findings import Finding
from edge_app.storage.folder import database_path, history_path
from edge_app.storage.store import Store

FULL_MB = 10
TIGHT_MB = 100


def check_state(
    folder: Path | None,
    *,
    writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK),
    free_mb: Callable[[Path], float] = lambda path: shutil.disk_usage(path).free / 2**20,
) -> Iterator[Finding]:
    """Check the folder; None if none is configured. `writable` and `free_mb` query the system."""
    if folder is None:
        yield Finding("state", "ok", "no folder configured: --state DIR, or folder in [state]")
        return
    place = folder
    # a folder that will be made: the nearest one above it decides
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        yield Finding("state", "failed", f"{place} is not a folder", "set another with --state, or in [state]")
        return
    if not writable(place):
        advice = f"run as the folder's owner: sudo -u {_owner(place)} edge-app doctor; or remount a read-only disk"
        yield Finding("state", "failed", f"{place} cannot be written by this user", advice)
    else:
        yield Finding("state", "ok", f"{folder}{'' if place == folder else ' (does not exist yet)'}, writable")
    yield _room(place, free_mb(place))
    if database_path(folder).is_file():
        yield _database(folder)
    if history_path(folder).is_file():
        yield _history(folder)


def _room(place: Path, free: float) -> Finding:
    detail = f"{free:.0f} MB free at {place}"
    if free >= TIGHT_MB:
        return Finding("disk", "ok", detail)
    advice = "free some space: `du -xh --max-depth 2 / | sort -h`; on a full disk teaching is refused, nothing is lost"
    return Finding("disk", "warning" if free >= FULL_MB else "failed", detail, advice)


def _database(folder: Path) -> Finding:
    from edge_app.errors import EdgeAppError

    try:
        with Store.reader(database_path(folder)) as store:
            store.check()
            examples = len(store.examples())
    except EdgeAppError as error:
        return Finding("database", "failed", str(error), f"edge-app recover --state {folder}")
    return Finding("database", "ok", f"intact, {examples} examples")


def _history(folder: Path) -> Finding:
    from edge_app.errors import EdgeAppError
    from edge_app.history.store import HistoryStore

    try:
        with HistoryStore.reader(history_path(folder)) as store:
            visits, size = store.total(), store.used_bytes()
    except EdgeAppError as error:
        return Finding("history", "warning", str(error), "the device sets a damaged one aside when it starts")
    return Finding("history", "ok", f"{visits} visits, {size >> 20} MB")


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "root"
