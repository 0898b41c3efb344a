"""Checks that this machine's encoder computes the same bits as others: one built-in picture, compared by digest.

A manifest may hold, for each TFLite runtime, the SHA-256 of the model's embedding of `picture`. Equal digests are a
strong hint and no proof; docs/platforms.md names the combinations that were compared over many frames.
"""

import hashlib
import platform
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.encoder.model import ModelManifest
from edge_app.encoder.tflite import TFLiteEncoder

COMPARED = ("x86_64", "aarch64")
"""Processors on which whole streams of frames gave the same bits with ai-edge-litert's XNNPACK kernels."""
NOT_COMPARED = ("sme", "sme2")
"""Features of processors that make the runtime take other kernels than those that were compared."""


class SelfCheck(NamedTuple):
    """Digest of the computed embedding."""

    embedding: str
    """SHA-256 of this machine's embedding of the picture, hexadecimal."""
    expected: str | None
    """Digest in the manifest for this runtime; None: none to compare with."""

    @property
    def equal(self) -> bool | None:
        """Whether they agree; None where there is nothing to compare with."""
        return None if self.expected is None else self.embedding == self.expected


def picture(size: int) -> NDArray[np.uint8]:
    """Return a picture (size, size, 3) uint8 made of integers only: three chirps, of all frequencies and levels."""
    ramp = np.arange(size, dtype=np.uint32)
    # no file and no random numbers: every machine, and every version of numpy, makes the same picture
    waves = (ramp[:, None, None] * ramp[None, :, None] // np.array([7, 61, 503], np.uint32)) & 255
    return waves.astype(np.uint8)


def embedding_digest(encoder: TFLiteEncoder) -> str:
    """Return the SHA-256, hexadecimal, of the encoder's embedding of the built-in picture."""
    return hashlib.sha256(encoder.encode(picture(encoder.manifest.input_size)).tobytes()).hexdigest()


def distribution(encoder: TFLiteEncoder) -> str:
    """Return the runtime's name without its version: the key under which a manifest keeps the digest."""
    # without the version: a new one that computes other bits should be noticed, not left out
    return encoder.runtime.split()[0]


def check(encoder: TFLiteEncoder) -> SelfCheck:
    """Encode the built-in picture and compare; takes as long as one frame."""
    return SelfCheck(embedding_digest(encoder), encoder.manifest.self_check.get(distribution(encoder)))


def compared(manifest: ModelManifest, runtime: str, xnnpack: bool | None, features: tuple[str, ...]) -> bool:
    """Whether this combination is one of those whose results were compared as a whole, and equal."""
    return (
        runtime.startswith("ai-edge-litert")
        and xnnpack is True
        and "ai-edge-litert" in manifest.self_check
        and platform.machine() in COMPARED
        and not set(NOT_COMPARED) & set(features)
    )
