"""Conventional classifiers on the rows of the validation draws, computed once and kept."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from calibration.validation import ValidationData
from edge_app.errors import InputError
from edge_app.evaluation import baselines

SETTINGS: dict[str, dict[str, float]] = {
    "nearest_class_mean": {},
    "streaming_lda": {"shrinkage": 1e-4},
    "online_softmax": {"rate": 8.0},
    "logistic_regression": {"c": 10.0},
}
"""Written out, so that a search stays comparable when the defaults of the baselines change."""
NAMES = tuple(SETTINGS)
BAR = ("nearest_class_mean", "logistic_regression")
"""The better of these, row by row, is what a candidate's accuracy is divided by."""

Reference = dict[str, dict[str, float]]
"""row -> baseline -> accuracy."""


def reference(material: ValidationData, seed: int, cache: Path) -> Reference:
    """Return the accuracy of the conventional classifiers on each row of a draw; `cache` is a folder.

    Raises InputError when scikit-learn is not installed.
    """
    found = baselines.available()
    if missing := [name for name in NAMES if name not in found]:
        raise InputError(
            f"{missing[0]} needs scikit-learn, which is not installed: pip install 'edge-app[calibration]'"
        )
    path = cache / f"reference-{_digest(material, seed)[:16]}.json"
    if path.is_file():
        kept: Reference = json.loads(path.read_text())
        return kept
    rows = baselines.unit_rows(material.values, material.zero_point)
    curve = material.curves[seed]
    test = np.array(curve.test)
    truth = material.labels[test]
    seen: list[int] = []
    result: Reference = {}
    for row, learn in curve.stages:
        seen += learn
        train = rows[seen], material.labels[seen]
        result[row] = {
            name: float(np.mean(found[name](*train, rows[test], len(material.classes), **options) == truth))
            for name, options in SETTINGS.items()
        }
    cache.mkdir(parents=True, exist_ok=True)
    # several workers share the cache: each writes a file of its own, and the rename replaces the whole file at once
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(result))
    part.replace(path)
    return result


def bar(rows: Reference) -> dict[str, float]:
    """Return the accuracy to be measured against, by row."""
    return {row: max(values[name] for name in BAR) for row, values in rows.items()}


def _digest(material: ValidationData, seed: int) -> str:
    """Digest of everything that the figures depend on."""
    # 2 is the version of this file's contents: raise it when the baselines are computed in another way
    digest = hashlib.sha256(f"2 {SETTINGS} {material.zero_point} {material.curves[seed]}".encode())
    digest.update(material.values.tobytes())
    digest.update(material.labels.astype(np.int64).tobytes())
    return digest.hexdigest()
