"""The spike counts of general images that a model brings: what an example must stand out from to be familiar."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray

from edge_app.encoder.model import ModelManifest
from edge_app.errors import ModelMismatch, ModelNotFound

MAX_BYTES = 64 << 20


def load_background(manifest: ModelManifest) -> NDArray[np.uint8] | None:
    """Return the counts (any number, n) uint8, None for a model that brings none.

    Raises ModelNotFound when the file is missing, ModelMismatch when it is not the one that the manifest describes.
    """
    path = manifest.background_path
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            # bounded: the manifest may name any file
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    # hashed as read: the very bytes that are used
    if hashlib.sha256(content).hexdigest() != manifest.background["sha256"]:
        raise ModelMismatch(
            f"{path} is not the file that {manifest.manifest_path.name} describes: its SHA-256 differs. Restore it, or "
            "take [background] out of the manifest: strangers are then rejected less often"
        )
    try:
        counts = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy raises many kinds for bytes that are no array
        raise ModelMismatch(f"{path} does not hold an array of numpy: {error}") from error
    if not isinstance(counts, np.ndarray) or counts.dtype != np.uint8 or counts.shape[1:] != (manifest.embedding_size,):
        found = f"{counts.dtype} {counts.shape}" if isinstance(counts, np.ndarray) else type(counts).__name__
        raise ModelMismatch(f"{path} holds {found}, expected uint8 (any number, {manifest.embedding_size})")
    return counts
