"""Start-up, compilation and memory, each measured on fresh processes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.model import ModelManifest
from edge_app.profiling.measure import time_starts

HELPS, STARTS = 7, 3
MANY_CLASSES = 1000


def measure(manifest: ModelManifest) -> dict[str, Any]:
    """Return seconds and megabytes, as JSON values."""
    many = CoLaNET(Params(), manifest.embedding_size)
    row = np.ones(manifest.embedding_size, np.uint8)
    for number in range(MANY_CLASSES):
        many.add_class(f"class {number:04}")
    many.learn_many(np.array([row, row * 2]), ["class 0000", "class 0001"])
    starts = time_starts(many.snapshot(), manifest, threads=1, starts=STARTS)
    return {
        "help_s": command_seconds([sys.executable, "-m", "edge_app", "--help"], HELPS),
        "cold_compile_s": cold_compile_seconds(),
        "many_classes": MANY_CLASSES,
        "many_classes_rss_mb": float(np.median([start["rss_mb"] for start in starts])),
        "many_classes_startup_s": float(np.median([start["startup_s"] for start in starts])),
    }


def command_seconds(command: list[str], times: int) -> float:
    """Return the median time that a command takes, after one that is not counted."""
    taken = []
    for _ in range(times + 1):
        start = perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        taken.append(perf_counter() - start)
    # the first start reads the files from the disk into the system's cache
    return float(np.median(taken[1:]))


def cold_compile_seconds() -> float:
    """Return how long `edge-app warmup` takes with an empty cache: what an installation does once."""
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        subprocess.run(
            [sys.executable, "-m", "edge_app", "warmup"],
            check=True,
            capture_output=True,
            env=os.environ | {"NUMBA_CACHE_DIR": folder},
        )
        return perf_counter() - start


def child_peer(script: str, python: Path, *arguments: str) -> dict[str, Any] | None:
    """Return the JSON that a script of this folder prints under another Python; None if that Python is missing.

    For peers that cannot share an environment with edge-app; `make bench-peers` makes their environments.
    """
    if not python.exists():
        return None
    path = Path(__file__).with_name(script)
    done = subprocess.run(  # noqa: S603
        [str(python), str(path), *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
