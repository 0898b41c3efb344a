"""The time of each stage of a frame, measured in one run: the figures of `edge-app bench`.

Times are milliseconds, the median (p50) and the 95th percentile (p95). Stages are timed one after the other on each
frame, with the processor's caches as the previous stage left them; the encoder is also timed alone, in a bare loop, and
learning after each frame's embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_app import machine
from edge_app.errors import InputError
from edge_app.evaluation.trial import percentiles
from edge_app.profiling.allocation import allocated
from edge_app.profiling.frames import FrameParts, Frames, make_frames
from edge_app.profiling.starts import Progress, time_starts
from edge_app.profiling.sustained import measure_sustained

if TYPE_CHECKING:
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest

STAGES = ("preprocess", "encode", "rate_code", "decide", "learn")
BLOCK = 20
FRAMES_PER_CLASS = 2

PARTS = 5


@dataclass(frozen=True)
class BenchSetting:
    """Options of `edge-app bench`."""

    classes: int = 64
    examples: int = 10
    """Taught to each class before the timing."""
    rounds: int = 400
    """Frames timed."""
    starts: int = 5
    """Fresh processes timed, after one that is not counted."""
    blocks: int = 8
    """Blocks of the live loop, alternating with as many of the bare encoder."""
    threads: int = 1
    images: Path | None = None

    def __post_init__(self) -> None:
        for name in ("classes", "examples", "rounds", "starts", "blocks", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: expected at least 1")

    def to_dict(self) -> dict[str, int]:
        """Return the sizes as JSON values, by their names in the report."""
        return {
            "classes": self.classes,
            "examples_per_class": self.examples,
            "rounds": self.rounds,
            "threads": self.threads,
        }


def measure(
    manifest: "ModelManifest",
    params: "Params",
    setting: BenchSetting,
    *,
    progress: Progress = lambda what, items: items,
) -> dict[str, Any]:
    """Measure everything and return it as JSON values; the keys are described in docs/evaluate.md."""
    from edge_app.colanet.network import CoLaNET
    from edge_app.encoder.background import load_background
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.ratecode import RateCode
    from edge_app.encoder.tflite import TFLiteEncoder

    rate_code = RateCode.for_model(manifest)
    frames = make_frames(setting.classes, FRAMES_PER_CLASS, setting.images)
    background = load_background(manifest)
    network = CoLaNET(params, rate_code.n_inputs, threads=setting.threads, background=background)
    with TFLiteEncoder(manifest, threads=setting.threads) as encoder:
        parts = FrameParts(Preprocessor(manifest.input_size, crop=manifest.crop), encoder, rate_code, network)
        found = _measure_frames(parts, frames, setting, progress)
        runtime = encoder.runtime
    flat = frames.images[:16].reshape(-1, *frames.images.shape[2:])
    sustained = measure_sustained(
        manifest, params, flat, classes=setting.classes, blocks=setting.blocks, threads=setting.threads
    )
    state = network.snapshot()
    starts = time_starts(state, manifest, threads=setting.threads, starts=setting.starts, progress=progress)
    return {
        **found,
        "sustained": sustained,
        **_startup(starts),
        "state_mb": len(state) / 2**20,
        **setting.to_dict(),
        "frames": frames.source,
        "model": {"name": manifest.name, "sha256": manifest.sha256, "runtime": runtime},
        "params": {"digest": params.digest, **params.to_dict()},
        "machine": machine.describe() | {"runtime": runtime},
    }


def _startup(starts: list[dict[str, float]]) -> dict[str, Any]:
    seconds = [start["startup_s"] for start in starts]
    return {
        "rss_mb": float(np.median([start["rss_mb"] for start in starts])),
        "startup_s": float(np.median(seconds)),
        "startup_spread_s": [min(seconds), max(seconds)],
    }


def _measure_frames(parts: FrameParts, frames: Frames, setting: BenchSetting, progress: Progress) -> dict[str, Any]:
    """Teach the network; return the times of each stage, their ratios, and what a frame allocates, as JSON values."""
    counts = _teach(parts, frames, setting, progress)
    times = _time_stages(parts, frames.images, setting.rounds, progress)
    found = {f"{stage}_ms": percentiles(times[stage]) for stage in (*STAGES, "encoder_invoke", "frame")}
    return {
        **found,
        "ratios": _ratios({name: float(values["p50"] or 0) for name, values in found.items()}),
        "ratio_spreads": _spreads(times),
        "frame_allocation": allocated(parts.decide, frames.images.reshape(-1, *frames.images.shape[2:])[:8]),
        "spikes_per_presentation": float(counts.sum(axis=1).mean()),
        "active_inputs": float((counts > 0).mean()),
    }


def _teach(device: FrameParts, frames: Frames, setting: BenchSetting, progress: Progress) -> NDArray[np.uint8]:
    """Teach each class its frames in turn; returns the spike counts (m, n_inputs) that were shown.

    Each class has `FRAMES_PER_CLASS` frames; further examples are slightly changed copies of their embeddings,
    so that teaching takes little time.
    """
    random = np.random.default_rng(3)
    labels = [f"class {number:04}" for number in range(setting.classes)]
    for label in labels:
        device.network.add_class(label)
    embeddings = [
        [device.encoder.encode(device.preprocess(frame)) for frame in examples]
        for examples in progress("encoding", list(frames.images))
    ]
    shown = []
    for example in progress("teaching", range(setting.examples)):
        for number, label in enumerate(labels):
            value = embeddings[number][example % FRAMES_PER_CLASS].astype(np.int16)
            if example >= FRAMES_PER_CLASS:
                # values that are 0 stay 0: the share of active inputs is that of real embeddings
                value += random.integers(-3, 4, value.shape, dtype=np.int16) * (value > 0)
            shown.append(device.rate_code(np.clip(value, 0, 255).astype(np.uint8)).copy())
            device.network.learn_one(shown[-1], label)
    return np.stack(shown)


def _time_stages(
    device: FrameParts, images: NDArray[np.uint8], rounds: int, progress: Progress
) -> dict[str, NDArray[np.float64]]:
    """Return milliseconds (rounds,) of each stage, of the whole frame, and of the encoder in a loop of its own.

    They alternate in blocks of `BLOCK`, so that other load on the machine affects all of them alike; within a block
    each loop is undisturbed by the others.
    """
    flat = images.reshape(-1, *images.shape[2:])
    labels = np.repeat(device.network.labels, images.shape[1])
    order = np.random.default_rng(4).integers(0, len(flat), -(-rounds // BLOCK) * BLOCK + BLOCK)
    taken: dict[str, list[list[int]]] = {"encoder": [], "chain": [], "frame": [], "learn": []}
    for block in progress("timing", order.reshape(-1, BLOCK).tolist()):
        # the preprocessor's buffer is overwritten by the chain
        picture = device.preprocess(flat[block[0]]).copy()
        taken["encoder"] += [_marks(picture, device.encoder.encode) for _ in block]
        chain = (device.preprocess, device.encoder.encode, device.rate_code, device.network.predict_one)
        taken["chain"] += [_marks(flat[index], *chain) for index in block]
        taken["frame"] += [_marks(flat[index], device.decide) for index in block]
        for index in block:
            counts = device.rate_code(device.encoder.encode(device.preprocess(flat[index])))
            taken["learn"].append(_marks(counts, partial(device.network.learn_one, label=str(labels[index]))))
    ms = {name: np.array(values[BLOCK:]) / 1e6 for name, values in taken.items()}  # the first block warms up
    stages = dict(zip(("preprocess", "encode", "rate_code", "decide"), ms["chain"].T, strict=True))
    return stages | {
        "encoder_invoke": ms["encoder"][:, 0],
        "frame": ms["frame"][:, 0],
        "learn": ms["learn"][:, 0],
    }


def _marks(value: Any, *stages: Callable[[Any], Any]) -> list[int]:
    """Pass a value through stages; returns the nanoseconds that each took."""
    marks = [perf_counter_ns()]
    for stage in stages:
        value = stage(value)
        marks.append(perf_counter_ns())
    return [end - start for start, end in pairwise(marks)]


def _ratios(p50: dict[str, float]) -> dict[str, float]:
    """Return the medians divided by the encoder's, which depend less on the speed of the machine."""
    encoder = p50["encoder_invoke_ms"]
    return {
        "decide_to_encoder": p50["decide_ms"] / encoder,
        "rate_code_and_decide_to_encoder": (p50["rate_code_ms"] + p50["decide_ms"]) / encoder,
        "learn_to_decide": p50["learn_ms"] / p50["decide_ms"],
        "preprocess_to_encoder": p50["preprocess_ms"] / encoder,
        "frame_to_encoder": p50["frame_ms"] / encoder,
    }


def _spreads(times: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return how much each ratio differs between fifths of the run: half the range divided by the median."""
    parts = {f"{name}_ms": np.array_split(values, PARTS) for name, values in times.items()}
    found = [_ratios({name: float(np.median(split[part])) for name, split in parts.items()}) for part in range(PARTS)]
    return {
        name: (max(part[name] for part in found) - min(part[name] for part in found))
        / 2
        / float(np.median([part[name] for part in found]))
        for name in found[0]
    }
