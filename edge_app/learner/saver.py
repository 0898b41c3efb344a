"""Saves snapshots in a thread of its own, so that teaching never waits, and when the state is closed."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from edge_app.errors import EdgeAppError
from edge_app.storage.snapshots import SnapshotKey, Snapshots

logger = logging.getLogger(__name__)

Freeze = Callable[[SnapshotKey | None], tuple[SnapshotKey, bytes, int] | None]
"""Returns key and bytes of the network and the last action that it includes; None when the key is the given one, or
when the network must not be saved."""


class Saver:
    """Counts what was learnt since the last snapshot, and saves the next one after `every` presentations.

    `lock` is held while the files change; a rebuild holds it while it reads one.
    """

    def __init__(self, snapshots: Snapshots, freeze: Freeze, *, every: int, saved: SnapshotKey) -> None:
        self.lock = threading.Lock()
        self._snapshots = snapshots
        self._freeze = freeze
        self._every = every
        self._saved: SnapshotKey | None = saved
        self._follows: dict[Path, int] = {}
        """Snapshot of this process -> the last action that it includes."""
        self._unsaved = 0
        self._thread: threading.Thread | None = None

    def learnt(self, presentations: int) -> None:
        """Count presentations that the last snapshot does not include; the caller holds the lock of the store."""
        self._unsaved += presentations
        # a save that is still running is slower than teaching: another would only queue up
        if self._unsaved >= self._every and (self._thread is None or not self._thread.is_alive()):
            self._unsaved = 0
            self._thread = threading.Thread(target=self._save_or_tell, name="snapshot")
            self._thread.start()

    def save(self) -> None:
        """Save a snapshot if anything was learnt since the last. Raises StateNotWritable."""
        with self.lock:
            frozen = self._freeze(self._saved)
            if frozen is not None:
                key, payload, action = frozen
                self._follows[self._snapshots.save(key, payload)] = action
                self._saved = key

    def clear(self, action: int | None = None) -> None:
        """Remove all snapshots, or only those that may not include an action. Raises StateNotWritable."""
        with self.lock:
            kept = [path for path, follows in self._follows.items() if action is not None and follows >= action]
            self._snapshots.clear(kept)
            self._follows = {path: self._follows[path] for path in kept}
            # otherwise save() would take a removed snapshot for the newest one
            if not kept:
                self._saved = None

    def wait(self) -> None:
        """Wait for a save in progress."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Save a last snapshot. A failure is only logged: without a snapshot the next start replays the journal."""
        # two saves of the same network would be wasted
        self.wait()
        self._save_or_tell()

    def _save_or_tell(self) -> None:
        try:
            self.save()
        except EdgeAppError as error:
            logger.warning("%s; the next start takes longer, nothing taught is lost", error)
