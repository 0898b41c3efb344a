"""Frames per second of the live loop, compared with the encoder alone in a bare loop.

Both alternate in short blocks of one run, so that other load on the machine affects both alike; the ratio is that of
the medians. The camera is faster than the encoder: frames are due at 1.25 times the encoder's own rate, divided by the
places that each frame is for, and the newest is taken.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.config import CameraConfig, Config, ConsolidationConfig, TemperatureConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import Clock
from edge_app.devices.view import Region, View
from edge_app.evaluation.trial import percentiles
from edge_app.pipeline.events import Decided
from edge_app.pipeline.pipeline import Pipeline, PipelineParts, one_place
from edge_app.simulation.devices import SimulatedButtons
from edge_app.storage.records import NewExample

if TYPE_CHECKING:
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.learner import Learner

FASTER = 1.25
"""The camera's rate divided by the encoder's."""
PLACES = (2, 4, 8)
"""Numbers of places besides one, in blocks of their own."""
BUTTON = "class 0000"
LEARNT_WITHIN_S = 60.0


class _LiveBlock(NamedTuple):
    fps: float
    press_ms: list[float]
    """From press to learnt."""
    slowest_ms: float
    """The longest time from capture to decision."""


class FramesCamera(PacedCamera):
    """A camera that repeats given frames (n, height, width, 3), each as a new array, like a driver."""

    def __init__(self, frames: NDArray[np.uint8], clock: Clock, fps: float) -> None:
        super().__init__("frames:", clock, fps)
        self._frames = frames

    def _start(self) -> None:
        pass

    def _stop(self) -> None:
        pass

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self._frames[tick % len(self._frames)].copy()
        return image


def tile(number: int) -> Region:
    """Return one of the eight tiles of a picture, four in a row."""
    return Region(number % 4 / 4, number // 4 / 2, 1 / 4, 1 / 2)


def with_places(parts: PipelineParts, count: int) -> PipelineParts:
    """Return parts that have one place with `count` places instead, up to 8: tiles of the picture, of one group."""
    (place,) = parts.places.values()
    return parts._replace(
        places={f"place {number}": place._replace(view=View(tile(number))) for number in range(count)}
    )


def measure_sustained(
    manifest: "ModelManifest",
    params: "Params",
    frames: NDArray[np.uint8],
    *,
    classes: int = 64,
    blocks: int = 8,
    block_s: float = 2.0,
    threads: int = 1,
) -> dict[str, Any]:
    """Return decisions per second of both loops, also with several places, and the time of a press, as JSON values.

    `frames` is (n, height, width, 3) uint8. In each block of the live loop one press teaches.
    """
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.learner import Learner

    def make_preprocess() -> Preprocessor:
        return Preprocessor(manifest.input_size, crop=manifest.crop)

    prepare = make_preprocess()
    pictures = [prepare(frame).copy() for frame in frames]
    bare: list[float] = []
    live: dict[int, list[_LiveBlock]] = {count: [] for count in (1, *PLACES)}
    with (
        TemporaryDirectory(prefix="edge-app-bench-") as folder,
        TFLiteEncoder(manifest, threads=threads) as encoder,
        Learner.open(Path(folder), manifest, params=params, threads=threads) as learner,
    ):
        _teach(learner, encoder, pictures, classes)
        make = partial(_parts, frames, make_preprocess, encoder, learner, manifest.input_size)
        _bare_rate(encoder, pictures, block_s)  # warms up
        for _ in range(blocks):
            bare.append(_bare_rate(encoder, pictures, block_s))
            for count, found in live.items():
                clock = MonotonicClock()
                found.append(_run_live(make(count, float(np.median(bare)), clock), clock, block_s))
    size = {"classes": classes, "threads": threads, "blocks": blocks, "block_s": block_s}
    return _summary(bare, live[1]) | {"places": {str(n): _of_one(live[n], live[1]) for n in PLACES}} | size


def _parts(
    frames: NDArray[np.uint8],
    make_preprocess: Callable[[], "Preprocessor"],
    encoder: "TFLiteEncoder",
    learner: "Learner",
    input_size: int,
    places: int,
    rate: float,
    clock: Clock,
) -> PipelineParts:
    """Return the parts of a loop whose camera is a little faster than `rate`, decisions a second, asks for."""
    camera = FramesCamera(frames, clock, min(1000.0, FASTER * rate / places))
    parts = one_place(camera, SimulatedButtons((BUTTON,), clock), None, make_preprocess, encoder, learner, input_size)
    return parts if places == 1 else with_places(parts, places)


def _of_one(blocks: list[_LiveBlock], one: list[_LiveBlock]) -> dict[str, float]:
    """Return the rate of several places together, and in parts of the rate of one."""
    rates, alone = (np.array([block.fps for block in found]) for found in (blocks, one))
    return {"fps": float(np.median(rates)), "to_one": float(np.median(rates / alone))}


def _summary(bare: list[float], live: list[_LiveBlock]) -> dict[str, Any]:
    rates = np.array([block.fps for block in live])
    return {
        "bare_fps": float(np.median(bare)),
        "live_fps": float(np.median(rates)),
        "live_to_bare": float(np.median(rates) / np.median(bare)),
        "spread": _spread(rates / np.array(bare)),
        "press_to_learnt_ms": percentiles(np.array([ms for block in live for ms in block.press_ms])),
        "slowest_frame_ms": max(block.slowest_ms for block in live),
    }


def _teach(learner: "Learner", encoder: "TFLiteEncoder", pictures: list[NDArray[np.uint8]], classes: int) -> None:
    embeddings = [encoder.encode(picture) for picture in pictures]
    learner.import_examples(
        [
            NewExample(embeddings[number % len(embeddings)].tobytes(), f"class {number:04}", 0, "bench")
            for number in range(classes)
        ]
    )


def _bare_rate(encoder: "TFLiteEncoder", pictures: list[NDArray[np.uint8]], seconds: float) -> float:
    count, start = 0, perf_counter()
    while perf_counter() - start < seconds:
        encoder.encode(pictures[count % len(pictures)])
        count += 1
    return count / (perf_counter() - start)


def _run_live(parts: PipelineParts, clock: Clock, seconds: float) -> _LiveBlock:
    """Run the live loop for a block, with one press in the middle."""
    pressed: list[float] = []
    learnt = Event()

    def report(level: int, event: str, /, **fields: object) -> None:
        if event == "learnt":
            pressed.append(float(str(fields["ms"])))
            learnt.set()

    marks: list[float] = []

    def tell(event: object) -> None:
        if isinstance(event, Decided):
            marks.append(perf_counter())

    config = Config(
        camera=CameraConfig(stuck_after_s=0),
        consolidation=ConsolidationConfig(enabled=False),
        # no pause and no lower rate that the encoder alone would not have
        temperature=TemperatureConfig(sensor=""),
    )
    camera = next(iter(parts.cameras.values())).camera
    with camera, parts.buttons:
        pipeline = Pipeline(parts, clock, report, config, tell=tell)
        pipeline.start()
        # the start is not part of the rate
        pipeline.first_decision.wait(60)
        clock.sleep(seconds / 2)
        parts.buttons.press(BUTTON)  # type: ignore[attr-defined]
        clock.sleep(seconds / 2)
        learnt.wait(LEARNT_WITHIN_S)  # on a busy machine the block may end before the press is learnt
        pipeline.stop(10)
        slowest_ms = pipeline.status().slowest_ms
    rate = (len(marks) - 1) / (marks[-1] - marks[0]) if len(marks) > 1 else len(marks) / seconds
    return _LiveBlock(rate, pressed, slowest_ms)


def _spread(ratios: NDArray[np.float64]) -> float:
    """Half the interquartile range of the blocks' ratios, divided by their median."""
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    return float((high - low) / 2 / middle)
