"""Tiny models (calibration/build_test_models.py makes them), and manifests for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app.encoder.model import ModelManifest, load_manifest
from support.models import MODELS, tiny_table, write_tiny

MakeManifest = Callable[..., ModelManifest]


@pytest.fixture
def models() -> Path:
    return MODELS


@pytest.fixture
def manifest_table() -> dict[str, Any]:
    """The manifest of embedding_uint8.tflite."""
    return tiny_table()


@pytest.fixture
def tiny(tmp_path: Path) -> ModelManifest:
    """A whole model of 5 kB in a folder of its own."""
    return load_manifest(write_tiny(tmp_path / "tiny"))
