"""Memory of `edge-app run` with a state of many classes, while something is taught now and then."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edge_app.profiling.process import running
from edge_app.storage.records import NewExample

CAMERA = "sim:scene=shapes,size=640x480,fps=15"
BUTTONS = "sim:disc@2,square@3,undo@4,ring@5"


def measure_memory(*, classes: int = 64, examples: int = 10, seconds: float = 15.0) -> dict[str, Any]:
    """Return the memory of `edge-app run` as JSON values, MB (2^20 bytes): `rss_mb`, `pss_mb`, `private_mb`.

    The state has `classes` classes of `examples` examples; three presses teach and one undoes, so that a network is
    rebuilt beside the one in use; memory is measured `seconds` after that. Raises EdgeAppError.
    """
    from edge_app.encoder.model import load_manifest
    from edge_app.learner import Learner

    manifest = load_manifest()
    random = np.random.default_rng(5)
    centres = random.gamma(0.5, 25, (classes, manifest.embedding_size))
    with TemporaryDirectory(prefix="edge-app-memory-") as folder:
        state = Path(folder) / "state"
        with Learner.open(state, manifest) as learner:
            learner.import_examples(
                [
                    NewExample(
                        np.clip(centres[number % classes] * random.gamma(4, 0.25, manifest.embedding_size), 0, 255)
                        .astype(np.uint8)
                        .tobytes(),
                        f"class {number % classes:04}",
                        number,
                        "bench",
                    )
                    for number in range(classes * examples)
                ]
            )
        with running("--state", str(state), "--camera", CAMERA, "--buttons", BUTTONS) as device:
            device.wait_for("learnt", 60, times=3)
            time.sleep(seconds)
            found = device.look()
    wanted = ("rss_mb", "pss_mb", "private_mb", "threads", "files", "load")
    return {name: found[name] for name in wanted} | {"classes": classes, "examples_per_class": examples}
