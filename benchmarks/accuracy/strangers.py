"""Strangers to what was taught: generic photographs, and the test pictures of the other data sets; and the demo's."""

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import plan
from benchmarks.accuracy.measure import NOVELTY_VERSION, VERSION, Measured
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.colanet.params import Params
from edge_app.demo.composition import Options, play
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation.cache import EmbeddingCache

Shown = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Embeddings and counts, (m, n) each."""


def measure_strangers(measured: Mapping[str, Measured], photographs: Shown) -> None:
    """Show each data set's networks the photographs, and the pictures of the other data sets."""
    shown = {name: of_set(one) for name, one in measured.items()}
    for name, one in measured.items():
        others = {kind: pictures for kind, pictures in shown.items() if kind != name}
        for classes, shots in plan.STRANGERS.get(name, ()):
            one.strangers(classes, shots, {"photographs": photographs, **others})


def of_set(one: Measured) -> Shown:
    """Return the test images of seed 0, evenly thinned."""
    rows = thinned(one.whole.tested(0))
    return one.whole.rows.values[rows], one.whole.counts[rows]


def photographs(path: Path, cache: Path) -> Shown:
    """Return the photographs of a zip, evenly thinned by name."""
    manifest = load_manifest(None)
    with ImageEncoder(manifest) as encoder, zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".jpg"))
        kept = EmbeddingCache(cache, encoder.fingerprint)
        rows = [_embedded(archive.read(names[row]), encoder, kept) for row in thinned(np.arange(len(names))).tolist()]
        kept.close()
    values = np.stack(rows)
    return values, RateCode.for_model(manifest)(values)


def measure_demo(ledger: ResultsFile) -> None:
    """Play the demo once for each seed, and keep how often it gave a right name and how often it said "unknown"."""
    manifest = load_manifest(None)
    made_of = [VERSION, NOVELTY_VERSION, manifest.sha256, dict(manifest.background), Params().digest]

    def action(seed: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            found = play(Options(seed=seed, out=Path(folder)), io.StringIO())
        # times and paths differ from run to run, and are no result
        return {key: value for key, value in found.items() if key not in ("ms", "picture", "seconds")}

    for seed in plan.DEMO_SEEDS:
        ledger.measure(f"demo/{seed}", made_of, lambda seed=seed: action(seed))


def thinned(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return at most `plan.STRANGER_IMAGES` of the rows, evenly spread."""
    wanted = min(plan.STRANGER_IMAGES, len(rows))
    return rows[np.linspace(0, len(rows) - 1, wanted).astype(int)]


def _embedded(data: bytes, encoder: ImageEncoder, kept: EmbeddingCache) -> NDArray[np.uint8]:
    found = kept.get(data)
    if found is None:
        found = encoder.embed(data)
        kept.put(data, found)
    return found
