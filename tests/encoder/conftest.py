"""Tiny models (calibration/build_test_models.py makes them), and manifests for them."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app.encoder.model import ModelManifest, load_manifest, write_manifest

MODELS = Path(__file__).parent / "models"

MakeManifest = Callable[..., ModelManifest]


@pytest.fixture
def models() -> Path:
    return MODELS


@pytest.fixture
def manifest_table() -> dict[str, Any]:
    """The manifest of embedding_uint8.tflite."""
    return {
        "name": "tiny",
        "file": "tiny.tflite",
        "sha256": hashlib.sha256((MODELS / "embedding_uint8.tflite").read_bytes()).hexdigest(),
        "input": {"size": 32, "dtype": "uint8", "scale": 0.0078125, "zero_point": 127},
        "embedding": {"size": 24, "dtype": "uint8", "scale": 0.001118574058637023, "zero_point": 0},
    }


@pytest.fixture
def tiny(tmp_path: Path, manifest_table: dict[str, Any]) -> ModelManifest:
    """A whole model of 5 kB in a folder of its own."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    shutil.copy(MODELS / "embedding_uint8.tflite", folder / "tiny.tflite")
    write_manifest(folder / "tiny.toml", manifest_table)
    return load_manifest(folder / "tiny.toml")
