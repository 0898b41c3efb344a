"""Embeddings on disk, so that a repeated evaluation does not encode the same images again."""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError

COMMIT_EVERY = 500


class EmbeddingCache:
    """Embeddings of one encoder by the SHA-256 of the image file; one SQLite file per encoder.

    `fingerprint` tells encoders apart. Safe for several processes at once; an interrupted run keeps what was committed.
    Every method raises InputError when the folder or the file cannot be used.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / f"embeddings-{fingerprint[:16]}.sqlite"
        self._pending = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # another process may commit for a while
            self._database = sqlite3.connect(self.path, timeout=60)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            self._database.execute("PRAGMA journal_mode=WAL")
            # not FULL: what a power cut takes is encoded again
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (image BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            self._database.close()
            raise self._unusable(error) from error

    def get(self, data: bytes) -> NDArray[np.uint8] | None:
        """Return the embedding (n,) kept for an image file's bytes, None when there is none."""
        try:
            row = self._database.execute("SELECT value FROM embeddings WHERE image = ?", (_key(data),)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        # frombuffer is read-only
        return None if row is None else np.frombuffer(row[0], np.uint8).copy()

    def put(self, data: bytes, value: NDArray[np.uint8]) -> None:
        """Keep the embedding (n,) of an image file's bytes; on disk after `COMMIT_EVERY` more, or `close`."""
        try:
            self._database.execute("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", (_key(data), value.tobytes()))
            self._pending += 1
            # not after each image: a commit waits for the disk
            if self._pending >= COMMIT_EVERY:
                self._database.commit()
                self._pending = 0
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Write pending embeddings and close the file."""
        try:
            self._database.commit()
            self._database.close()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> InputError:
        return InputError(
            f"embedding cache {self.path}: {error}; "
            "name a folder that can be written, or delete the file if it is damaged"
        )


def _key(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
