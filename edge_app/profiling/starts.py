"""Start-up time and memory of fresh processes that load a network and the encoder and decide on one frame."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app import machine
from edge_app.errors import EdgeAppError

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

START_TIMEOUT_S = 300

Progress = Callable[[str, Sequence[Any]], Iterable[Any]]


def time_starts(
    snapshot: bytes,
    manifest: "ModelManifest",
    *,
    threads: int,
    starts: int,
    progress: Progress = lambda what, items: items,
) -> list[dict[str, float]]:
    """Return {"startup_s", "rss_mb"} of each of `starts` processes, after one that only fills caches.

    Raises EdgeAppError when such a process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        path.write_bytes(snapshot)
        # not `edge-app classify`, whose options and state folder would be measured too
        code = "import sys; from edge_app.profiling.starts import first_decision; first_decision(*sys.argv[1:])"
        command = [sys.executable, "-c", code, str(path), str(manifest.manifest_path), str(threads)]
        # the first fills the caches of the disk and of numba
        return [time_start(command) for _ in progress("starting", range(starts + 1))][1:]


def time_start(command: list[str]) -> dict[str, float]:
    """Return the seconds until a command's first line of output, and the `rss_mb` in that line of JSON."""
    begin = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        # the time ends here: what comes after is Python's clean-up
        line = process.stdout.readline()
        taken = perf_counter() - begin
        _, errors = process.communicate(timeout=START_TIMEOUT_S)
    if process.returncode != 0 or not line:
        raise EdgeAppError(f"a fresh process could not decide on a frame: {errors.strip()}")
    return {"startup_s": taken, "rss_mb": float(json.loads(line)["rss_mb"])}


def first_decision(snapshot: str, model: str, threads: str) -> None:
    """Load a saved network and the encoder, decide on one frame and print the memory taken: run in a fresh process."""
    from edge_app.colanet.network import CoLaNET
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.ratecode import RateCode
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.profiling.frames import FrameParts

    manifest = load_manifest(model)
    network = CoLaNET.from_snapshot(Path(snapshot).read_bytes(), threads=int(threads))
    with TFLiteEncoder(manifest, threads=int(threads)) as encoder:
        preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
        device = FrameParts(preprocess, encoder, RateCode.for_model(manifest), network)
        ramp = np.arange(480 * 640 * 3, dtype=np.uint32).reshape(480, 640, 3)
        # a picture without a library to draw or read one
        device.decide((ramp * 2654435761 >> 13).astype(np.uint8))
        sys.stdout.write(json.dumps({"rss_mb": machine.memory_mb()["rss"] or 0.0}) + "\n")
        sys.stdout.flush()
