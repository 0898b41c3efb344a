"""A small model (calibration/build_test_models.py makes it) with manifests of its own."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from edge_app.encoder.model import write_manifest

MODELS = Path(__file__).parents[1] / "encoder" / "models"
FILE = MODELS / "embedding_uint8.tflite"


def tiny_table(**of_input: object) -> dict[str, Any]:
    """The manifest of FILE; `of_input`: more keys of [input]."""
    return {
        "name": "tiny",
        "file": "tiny.tflite",
        "sha256": hashlib.sha256(FILE.read_bytes()).hexdigest(),
        "input": {"size": 32, "dtype": "uint8", "scale": 0.0078125, "zero_point": 127, **of_input},
        "embedding": {"size": 24, "dtype": "uint8", "scale": 0.001118574058637023, "zero_point": 0},
    }


def write_tiny(folder: Path, **of_input: object) -> Path:
    """Write it into a folder as the model "tiny"; return the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILE, folder / "tiny.tflite")
    write_manifest(folder / "tiny.toml", tiny_table(**of_input))
    return folder / "tiny.toml"
