"""Prints, as JSON, what a state folder holds; by edge-app's own reader, beside the service."""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from edge_app.storage.folder import database_path
from edge_app.storage.store import Store


def main() -> None:
    """Print id, label and the mean colour of the thumbnail of every example."""
    with Store.reader(database_path(Path(sys.argv[1]))) as store:
        found = []
        for example in store.examples():
            jpeg = store.thumbnail(example.id)
            colour = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).mean(axis=(0, 1)) if jpeg else None
            found.append({
                "id": example.id,
                "label": example.label,
                "colour": None if colour is None else [round(float(part)) for part in colour],
            })  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
