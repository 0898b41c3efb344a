"""The results of a tiny spiking network and the shipped encoder, as digests that another machine must equal.

PYTHONPATH=tests:. python -m support.spiking_golden      writes tiny.tflite and golden.json anew (on x86-64)
"""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.pictures import decode_image
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.spiking.network import Sum
from edge_app.spiking.phased import present
from edge_app.spiking.reading import read_network
from edge_app.spiking.streaming import Stream

HERE = Path(__file__).resolve().parents[1] / "spiking"
PHOTOGRAPHS = HERE.parent / "aarch64" / "pictures"
TINY, GOLDEN = HERE / "tiny.tflite", HERE / "golden.json"
SHIPPED = "efficientnet_lite0_spiking"
SEED = 4
TICKS = 20


def picture(seed: int) -> NDArray[np.uint8]:
    """Return a random picture for the tiny network."""
    return np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def digest(values: NDArray[Any]) -> str:
    """Return the first 64 bits of SHA-256, hexadecimal, of integers as int32, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(values, "<i4").tobytes()).hexdigest()[:16]


def simulated(seed: int) -> dict[str, str]:
    """Return the digest of each node's counts in the tiny network, and of a streamed embedding."""
    network = read_network(TINY.read_bytes())
    counts = present(network, picture(seed)).counts
    found = {node.name: digest(values) for node, values in zip(network.nodes, counts, strict=True)}
    stream = Stream(network, picture(seed))
    for _ in range(TICKS):
        stream.tick()
    return found | {f"streamed, {TICKS} ticks": digest(stream.embedding())}


def shipped() -> dict[str, str]:
    """Return the digests of the shipped encoder's embeddings of three photographs, by the TFLite runtime."""
    manifest = load_manifest(SHIPPED)
    prepare = Preprocessor(manifest.input_size, crop=manifest.crop)
    with TFLiteEncoder(manifest) as encoder:
        return {
            path.name: digest(encoder.encode(prepare(decode_image(path)))) for path in sorted(PHOTOGRAPHS.glob("*.jpg"))
        }


if __name__ == "__main__":
    if platform.machine() != "x86_64":
        raise SystemExit(f"{GOLDEN.name} holds what x86-64 computes; this is {platform.machine()}")
    from calibration.spiking.pack import pack
    from support.tiny_spiking import spiking_network

    network = spiking_network(SEED, top=9)
    assert any(isinstance(node, Sum) for node in network.nodes)
    TINY.write_bytes(pack(network, 0.02))
    table = {"tiny": {str(seed): simulated(seed) for seed in range(3)}, "shipped": shipped()}
    GOLDEN.write_text(json.dumps(table, indent=1) + "\n", encoding="ascii")
    print(GOLDEN.name)
