"""An image file's bytes to its embedding, as the device makes it of a frame, with the time of each stage."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.datasets.pictures import decode_image
from edge_app.encoder import selfcheck
from edge_app.encoder.model import ModelManifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.tflite import TFLiteEncoder


class ImageEncoder(Closing):
    """Decodes, preprocesses and encodes one image file after another. Closes the encoder as a context manager.

    `times_ms` holds what each image took in the stages `decode`, `preprocess` and `encode`, in milliseconds.
    """

    def __init__(self, manifest: ModelManifest, *, threads: int = 1) -> None:
        self.manifest = manifest
        self._preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
        self._encoder = TFLiteEncoder(manifest, threads=threads)
        self.times_ms: dict[str, list[float]] = {"decode": [], "preprocess": [], "encode": []}
        self.fingerprint = self._take_fingerprint()

    @property
    def runtime(self) -> str:
        """Name and version of the TFLite runtime in use."""
        return self._encoder.runtime

    @property
    def zero_point(self) -> int:
        """Embedding value that stands for 0."""
        return self.manifest.embedding_zero_point

    def embed(self, data: bytes) -> NDArray[np.uint8]:
        """Return the embedding (n,) of an image file's bytes; InputError when it is corrupt."""
        return self.encode(self.prepare(data))

    def prepare(self, data: bytes | Path) -> NDArray[np.uint8]:
        """Return an image file, or the bytes of one, as the model's input, (side, side, 3) uint8, until the next call.

        Raises InputError when it is corrupt.
        """
        image = self._timed("decode", lambda: decode_image(data))
        return self._timed("preprocess", lambda: self._preprocess(image))

    def encode(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the embedding (n,) of a model's input, (side, side, 3) uint8."""
        return self._timed("encode", lambda: self._encoder.encode(picture))

    def close(self) -> None:
        """Let go of the interpreter."""
        self._encoder.close()

    def _timed(self, stage: str, action: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        start = perf_counter_ns()
        result = action()
        self.times_ms[stage].append((perf_counter_ns() - start) / 1e6)
        return result

    def _take_fingerprint(self) -> str:
        """Return a digest of the model and of what preprocessing and runtime make of one picture, to the bit."""
        # not a multiple: both the halving and the bilinear step take part
        size = 2 * self.manifest.input_size + 31
        picture = self._preprocess(selfcheck.picture(size))
        digest = hashlib.sha256(self.manifest.sha256.encode())
        digest.update(picture.tobytes())
        digest.update(self._encoder.encode(picture).tobytes())
        return digest.hexdigest()
