"""Measures how unknown things are grouped by likeness: `python calibration/groups.py DATA [--choose] [--json FILE]`.

Of each data set, PICTURES pictures of CLASSES classes are grouped by their embeddings, as if each were an unknown
visit. For each mean cosine from which groups are joined: `groups`, `grouped` (share of the pictures that are in a
group) and `pure` (share of those that belong to the most frequent class of their group). `--choose` takes training
pictures and several cosines; without it the one in use is measured on test pictures.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from calibration.coach import Material  # noqa: E402
from edge_app.history.groups import ALIKE, group  # noqa: E402

SETS = ("grocery", "sign_digits")
CLASSES, PICTURES = 12, 8
COSINES = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
Embeddings = np.ndarray[Any, np.dtype[np.uint8]]


def material(data: Path, name: str, *, test: bool) -> tuple[list[str], Embeddings]:
    """Return the classes and the embeddings, (m, n), of the pictures of a data set, drawn at random."""
    pictures, random = Material(data, name, test=test), np.random.default_rng(1)
    labels: list[str] = []
    embeddings = []
    classes = sorted(pictures.classes)
    for label in random.permutation(classes)[:CLASSES]:
        items = pictures.classes[label]
        for index in random.permutation(len(items))[:PICTURES]:
            labels.append(str(label))
            embeddings.append(pictures.embedding(pictures.picture(items[index])).copy())
    return labels, np.stack(embeddings)


def quality(labels: list[str], embeddings: Embeddings, alike: float) -> dict[str, float]:
    """Return number, coverage and purity of the groups."""
    found = group(range(len(labels)), embeddings, alike)
    grouped = sum(len(one.visits) for one in found)
    pure = sum(Counter(labels[index] for index in one.visits).most_common(1)[0][1] for one in found)
    shares = {"grouped": round(grouped / len(labels), 3), "pure": round(pure / grouped, 3) if grouped else 1.0}
    return {"alike": alike, "groups": len(found)} | shares


def main() -> int:
    """Print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--choose", action="store_true", help="several cosines, on training data")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    args = parser.parse_args()
    found = {}
    for name in SETS:
        labels, embeddings = material(args.data, name, test=not args.choose)
        found[name] = [quality(labels, embeddings, alike) for alike in (COSINES if args.choose else (ALIKE,))]
        print(name, json.dumps(found[name]), file=sys.stderr)
    text = json.dumps({"classes": CLASSES, "pictures_each": PICTURES, "sets": found}, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
