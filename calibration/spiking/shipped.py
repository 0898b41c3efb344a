"""A trained spiking network as the two files of a model: the TFLite graph and its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.spiking.integers import PICTURE_OFFSET, POOLING, integers
from calibration.spiking.network import SpikingTwin
from calibration.spiking.pack import PICTURE_SCALE, pack
from edge_app.encoder.model import load_manifest, write_manifest
from edge_app.encoder.selfcheck import distribution, embedding_digest
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.files import READABLE, write_atomically
from edge_app.spiking.energy import measure
from edge_app.spiking.network import SpikingNetwork
from edge_app.spiking.reading import read_network


def write(
    network: SpikingTwin,
    folder: Path,
    name: str,
    facts: Mapping[str, Any],
    pictures: NDArray[np.uint8],
    *,
    colour: str = "RGB",
) -> Path:
    """Write NAME.tflite and NAME.toml into a folder; return the manifest's path.

    facts: keys of the manifest to add. pictures: (n, size, size, 3) uint8, on which rates and operations are measured.
    colour: of the input, as the manifest says it.
    """
    whole, scale = integers(network)
    content = pack(whole, scale)
    # read back from the file: what is measured is what the device will run
    read = read_network(content, name)
    path = folder / f"{name}.toml"
    table = (
        _table(read, content, scale, network.architecture.sigma, name, colour)
        | dict(facts)
        | {"spiking": spiking_table(read, pictures)}
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / table["file"], content, mode=READABLE)
    write_manifest(path, table)
    # the self-check needs an encoder, which needs a manifest: so the manifest is written twice
    with TFLiteEncoder(load_manifest(path)) as encoder:
        table["self_check"] = {distribution(encoder): embedding_digest(encoder)}
    write_manifest(path, table)
    return path


def spiking_table(network: SpikingNetwork, pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the manifest's [spiking]: steps of each layer, schedule, and what the pictures cost on average."""
    found = measure(network, pictures)
    return {
        "schedule": "phased",
        "reset": "soft",
        "steps": [layer.high for layer in network.layers[:-POOLING]],
        "pictures": len(pictures),
        "rates": [round(row.rate, 4) for row in found.layers[:-POOLING]],
        **found.to_dict(),
    }


def _table(
    network: SpikingNetwork, content: bytes, scale: float, sigma: float | None, name: str, colour: str
) -> dict[str, Any]:
    pooling = {} if sigma is None else {"pooling": "gaussian", "sigma": sigma}
    return {
        "name": name,
        "file": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "Apache-2.0",
        "crop": 1.0,
        "input": {
            "size": network.size,
            "dtype": "int8",
            "colour": colour,
            "scale": PICTURE_SCALE,
            "zero_point": PICTURE_OFFSET - 128,
        },
        "embedding": {"size": network.n_outputs, "dtype": "int8", "scale": scale, "zero_point": 0} | pooling,
    }
