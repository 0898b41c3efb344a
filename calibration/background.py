"""Make the background columns of an encoder from its own classifier's head, and name them in its manifest.

    python calibration/background.py lite0

The positive part of a row of the head is, up to a factor that the rate code divides out, an embedding that its class
would be recognised by. The 1,000 rows become spike counts, and these are clustered (spherical k-means, seeded); the
clusters' means, rounded, are the background: (64, n) uint8, 82 kB. No photograph is needed, and the licence is that of
the weights. The same weights give the same bytes. `make models` runs it.
"""

import argparse
import hashlib
import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edge_app.encoder.model import SHORT_NAMES, load_manifest  # noqa: E402
from edge_app.encoder.ratecode import RateCode  # noqa: E402
from edge_app.files import write_atomically  # noqa: E402

COLUMNS = 64
"""32 to 100 were tried on validation splits: more reject more of what is unlike anything taught, for more bytes."""
ROUNDS = 60

Matrix = NDArray[np.float64]


def background(head: NDArray[np.floating], rate_code: RateCode, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Return counts (columns, n) uint8 of a head's weights (classes, n)."""
    rows = np.maximum(head.astype(np.float64), 0)
    # the scale is free, because the rate code normalises; the whole range of uint8 loses least by rounding
    embeddings = np.rint(255 * rows / rows.max(axis=1, keepdims=True)).astype(np.uint8)
    counts = rate_code(embeddings).astype(np.float64)
    place = cluster(counts / np.linalg.norm(counts, axis=1, keepdims=True), columns)
    means = np.stack([counts[place == column].mean(axis=0) for column in np.unique(place)])
    return np.rint(means).astype(np.uint8)


def cluster(rows: Matrix, columns: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the cluster (m,) of each of the unit rows (m, n): spherical k-means from k-means++ seeds."""
    random = np.random.default_rng(seed)
    centres = rows[[random.integers(len(rows))]]
    while len(centres) < columns:
        gap = np.maximum(1 - (rows @ centres.T).max(axis=1), 0)
        centres = np.vstack([centres, rows[random.choice(len(rows), p=gap / gap.sum())]])
    place = (rows @ centres.T).argmax(axis=1)
    for _ in range(ROUNDS):
        for column in range(columns):
            # a cluster may lose all its rows; it keeps its centre then, instead of a mean of nothing
            if (place == column).any():
                mean = rows[place == column].mean(axis=0)
                centres[column] = mean / np.linalg.norm(mean)
        place, before = (rows @ centres.T).argmax(axis=1), place
        if (place == before).all():
            break
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+", metavar="VARIANT", choices=SHORT_NAMES, help=", ".join(SHORT_NAMES))
    parser.add_argument("--models", type=Path, default=ROOT / "firmware_models", help="folder of the encoders")
    args = parser.parse_args()

    from calibration.efficientnet import VARIANTS, load_weights

    for variant in args.variants:
        manifest = load_manifest(args.models / f"{SHORT_NAMES[variant]}.toml", check=False)
        head = load_weights(VARIANTS[variant].weights)["_fc.weight"]
        write(manifest.manifest_path, background(head, RateCode.for_model(manifest)))


def write(manifest: Path, counts: NDArray[np.uint8]) -> None:
    """Write the counts beside a manifest, and their name and hash into it."""
    stream = io.BytesIO()
    np.save(stream, counts, allow_pickle=False)
    path = manifest.with_suffix(".background.npy")
    write_atomically(path, stream.getvalue(), mode=0o644)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    # [background] is the last table of a manifest, so everything behind its heading is replaced
    text = manifest.read_text(encoding="utf-8").split("\n[background]\n")[0].rstrip("\n")
    text += f'\n\n[background]\nfile = "{path.name}"\nsha256 = "{digest}"\n'
    write_atomically(manifest, text.encode(), mode=0o644)


if __name__ == "__main__":
    main()
