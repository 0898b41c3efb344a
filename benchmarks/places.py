"""`python -m benchmarks.places`: what several places and cameras cost.

1. Decisions per second with 1, 2, 4 and 8 places that all change, in turns with one place; and how old a frame is when
   the encoder takes it, against the time of one turn of all places.
2. Encoder runs per second, and processor time, of 8 places of which one changes, beside that place alone, at 30
   frames/s.
3. Memory of further places in a group, of further groups (64 classes each), and of a second camera, in fresh processes.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app import machine
from edge_app.config import Config, ConsolidationConfig, HistoryConfig, IdleConfig, NamedCameraConfig, PlaceConfig
from edge_app.config.sections import MAIN, CameraConfig, StateConfig, TemperatureConfig
from edge_app.device import Device
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import Camera, Clock
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.kernel_cache import compile_all
from edge_app.learner import Learner
from edge_app.pipeline.events import Decided, Event
from edge_app.pipeline.pipeline import Pipeline, PipelineParts, one_place
from edge_app.profiling.sustained import tile, with_places
from edge_app.simulation.devices import SimulatedButtons
from edge_app.storage.records import NewExample

RESULT = Path(__file__).resolve().parent / "results" / "places.json"
COUNTS = (1, 2, 4, 8)
CLASSES = 64
WIDTH, HEIGHT = 640, 480
FPS = 30.0
FASTER = 1.25
"""The camera's rate over that at which every place could be served."""
IDLE = IdleConfig(threshold=3.0)
SETTLE_S = 3.0
"""Longer than a picture must stand still before it is looked at less often."""
MEMORY_S = 6.0


class Tiles(PacedCamera):
    """A camera whose picture is 4 x 2 tiles; those below `moving` change with every frame."""

    def __init__(self, clock: Clock, fps: float, moving: int) -> None:
        super().__init__("tiles:", clock, fps)
        random = np.random.default_rng(1)
        small = random.integers(0, 256, (8, HEIGHT // 16, WIDTH // 16, 3)).astype(np.uint8)
        self._pictures = [np.ascontiguousarray(np.kron(one, np.ones((16, 16, 1), np.uint8))) for one in small]
        # made before: the camera is not what is measured
        for picture in self._pictures[1:]:
            for number in range(moving, 8):
                top, left, bottom, right = _corners(number)
                picture[top:bottom, left:right] = self._pictures[0][top:bottom, left:right]

    def _start(self) -> None:
        pass

    def _stop(self) -> None:
        pass

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        image = self._pictures[tick % 8].copy()
        image[:2, :2] = tick % 256  # no sensor delivers the same bytes twice
        return image


def _corners(number: int) -> tuple[int, int, int, int]:
    x, y, width, height = tile(number)
    return round(y * HEIGHT), round(x * WIDTH), round((y + height) * HEIGHT), round((x + width) * WIDTH)


class Bench:
    """The real encoder and classifier, with a network of 64 classes."""

    def __init__(self, folder: Path) -> None:
        self.manifest = load_manifest()
        self.encoder = TFLiteEncoder(self.manifest)
        compile_all(self.manifest)
        self.learner = Learner.open(folder, self.manifest)
        random = np.random.default_rng(2)
        if not self.learner.labels:
            side = self.manifest.input_size
            pictures = random.integers(0, 256, (CLASSES, 7, 7, 3)).astype(np.uint8)
            scaled = [np.kron(one, np.ones((side // 7, side // 7, 1), np.uint8)) for one in pictures]
            embeddings = [self.encoder.encode(np.ascontiguousarray(one)) for one in scaled]
            self.learner.import_examples(
                [NewExample(one.tobytes(), f"class {number:02}", 0, "bench") for number, one in enumerate(embeddings)]
            )

    def close(self) -> None:
        """Release encoder and network."""
        self.learner.close()
        self.encoder.close()

    def run(self, places: int, *, moving: int, fps: float, idle: IdleConfig, seconds: float) -> dict[str, Any]:
        """Run the live loop over so many places; return its figures."""
        events = list[Decided]()
        pipeline = self._pipeline(places, moving, fps, idle, events)
        pause = threading.Event()
        with pipeline._parts.cameras[MAIN].camera:
            pipeline.start()
            pipeline.first_decision.wait(60)
            pause.wait(SETTLE_S if idle.threshold else 0.5)
            events.clear()
            encoded = [place.encode.encoded for place in pipeline.places.values()]
            busy, began = time.process_time(), time.monotonic()
            pause.wait(seconds)
            busy, passed = time.process_time() - busy, time.monotonic() - began
            runs = [
                place.encode.encoded - before for place, before in zip(pipeline.places.values(), encoded, strict=True)
            ]
            taken = list(events)
            pipeline.stop(10)
        waits = np.array([event.waited_ns for event in taken]) / 1e6
        turn_ms = 1000 * passed * places / max(1, sum(runs))
        return {
            "decisions": len(taken),
            "decisions_per_second": len(taken) / passed,
            "encoder_runs_per_second": sum(runs) / passed,
            "slowest_place_per_second": min(runs) / passed,
            "processor": busy / passed,
            "turn_ms": turn_ms,
            "age_ms": {"median": float(np.median(waits)), "longest": float(waits.max())},
            "older_than_a_turn": int((waits > turn_ms).sum()),
        }

    def _pipeline(self, places: int, moving: int, fps: float, idle: IdleConfig, events: list[Decided]) -> Pipeline:
        """Return a pipeline over so many places, whose decisions are added to `events`."""
        clock = MonotonicClock()

        def tell(event: Event) -> None:
            if isinstance(event, Decided):
                events.append(event)

        config = Config(
            camera=CameraConfig(stuck_after_s=0),
            consolidation=ConsolidationConfig(enabled=False),
            temperature=TemperatureConfig(sensor=""),
            idle=idle,
        )
        return Pipeline(self._parts(places, Tiles(clock, fps, moving), clock), clock, _quiet, config, tell=tell)

    def _parts(self, places: int, camera: Camera, clock: Clock) -> PipelineParts:
        def make_preprocess() -> Preprocessor:
            return Preprocessor(self.manifest.input_size, crop=self.manifest.crop)

        buttons, side = SimulatedButtons((), clock), self.manifest.input_size
        return with_places(one_place(camera, buttons, None, make_preprocess, self.encoder, self.learner, side), places)


def _quiet(level: int, event: str, /, **fields: object) -> None:
    """Report nothing."""


def rates(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the rates of each number of places, in turns with one place."""
    still = IdleConfig(threshold=0.0)
    most = FASTER * bench.run(1, moving=1, fps=1000.0, idle=still, seconds=seconds)["decisions_per_second"]
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in COUNTS}
    for _ in range(rounds):
        for count in COUNTS:
            # each frame is one for every place: there is always a newer one than the encoder can take
            found[count].append(bench.run(count, moving=count, fps=most / count, idle=still, seconds=seconds))
    ones = [one["decisions_per_second"] for one in found[1]]

    def middle(count: int, *keys: str) -> float:
        values = []
        for one in found[count]:
            value: Any = one
            for key in keys:
                value = value[key]
            values.append(value)
        return round(statistics.median(values), 3)

    return {
        str(count): {
            "decisions_per_second": middle(count, "decisions_per_second"),
            "ratio_to_one": round(
                statistics.median(
                    one["decisions_per_second"] / alone for one, alone in zip(found[count], ones, strict=True)
                ),
                4,
            ),
            "slowest_place_per_second": middle(count, "slowest_place_per_second"),
            "turn_ms": middle(count, "turn_ms"),
            "age_ms_median": middle(count, "age_ms", "median"),
            "age_ms_longest": round(max(one["age_ms"]["longest"] for one in found[count]), 1),
            "older_than_a_turn": sum(one["older_than_a_turn"] for one in found[count]),
            "decisions": sum(one["decisions"] for one in found[count]),
        }
        for count in COUNTS
    }


def still_places(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the cost of seven places in which nothing moves, beside one that changes."""
    alone, eight = [], []
    for _ in range(rounds):
        alone.append(bench.run(1, moving=1, fps=FPS, idle=IDLE, seconds=seconds))
        eight.append(bench.run(8, moving=1, fps=FPS, idle=IDLE, seconds=seconds))
    costs = [many["processor"] - one["processor"] for many, one in zip(eight, alone, strict=True)]
    return {
        "frames_per_second": FPS,
        "encoder_runs_per_second": {
            "one_place": round(statistics.median(one["encoder_runs_per_second"] for one in alone), 2),
            "eight_places": round(statistics.median(one["encoder_runs_per_second"] for one in eight), 2),
        },
        "percent_of_a_core_of_the_other_seven": round(100 * statistics.median(costs), 2),
        "percent_of_a_core_lowest_and_highest": [round(100 * min(costs), 2), round(100 * max(costs), 2)],
    }


def _memory(folder: Path, places: int, groups: int, cameras: int) -> float:
    """Return the memory of a fresh process that runs so many places, MB."""
    state = folder / f"{places}-{groups}-{cameras}"
    for number in range(groups):
        target = state if number == 0 else state / "groups" / f"group {number}"
        shutil.copytree(folder / "taught", target, dirs_exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.places",
        "--memory-of",
        str(state),
        str(places),
        str(groups),
        str(cameras),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 this program
    return float(done.stdout.split()[-1])


def memory_here(state: Path, places: int, groups: int, cameras: int) -> float:
    """Run a device for some seconds; return the memory of this process, MB."""
    config = Config(
        camera=CameraConfig(uri="sim:scene=shapes,size=640x480,fps=30"),
        cameras=tuple(
            NamedCameraConfig(name=f"camera {number}", uri="sim:scene=shapes,size=640x480,fps=30")
            for number in range(1, cameras)
        ),
        places=tuple(
            PlaceConfig(
                name=f"place {number}",
                camera="" if number < places - cameras + 1 else f"camera {number - (places - cameras)}",
                group=f"group {number % groups}",
                region=tuple(tile(number)),
            )
            for number in range(places)
        ),
        state=StateConfig(folder=str(state)),
        history=HistoryConfig(enabled=True),
        temperature=TemperatureConfig(sensor=""),
    )
    with Device(config=config) as device:
        threading.Event().wait(MEMORY_S)
        assert all(place.decision is not None for place in device.places.values())
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def memory(folder: Path, rounds: int) -> dict[str, Any]:
    """Return the memory of one place, and what further ones, groups and cameras take, MB."""
    kinds = {"one place": (1, 1, 1), "four in a group": (4, 1, 1), "four groups": (4, 4, 1), "two cameras": (2, 1, 2)}
    found = {kind: [_memory(folder, *shape) for _ in range(rounds)] for kind, shape in kinds.items()}
    middle = {kind: statistics.median(values) for kind, values in found.items()}
    one, shared = middle["one place"], (middle["four in a group"] - middle["one place"]) / 3
    return {
        "one_place_mb": round(one, 1),
        "further_place_in_the_group_mb": round(shared, 2),
        "further_place_with_a_network_of_its_own_mb": round((middle["four groups"] - one) / 3, 2),
        "second_camera_mb": round(middle["two cameras"] - one - shared, 2),
        "frames_kept_of_the_second_camera_mb": round(15 * WIDTH * HEIGHT * 3 / (1 << 20), 1),
        "classes": CLASSES,
    }


def main() -> int:
    """Measure, print and store the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.places", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of each measurement (default: 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a run (default: 3)")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE", help="result, JSON")
    parser.add_argument(
        "--memory-of", nargs=4, metavar=("STATE", "PLACES", "GROUPS", "CAMERAS"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.memory_of is not None:
        state, *counts = args.memory_of
        sys.stdout.write(f"{memory_here(Path(state), *map(int, counts))}\n")
        return 0
    result: dict[str, Any] = {"machine": machine.describe(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="edge-app-places-") as name:
        folder = Path(name)
        bench = Bench(folder / "taught")
        bench.run(4, moving=4, fps=100.0, idle=IDLE, seconds=1.0)  # warms up
        result["all_changing"] = rates(bench, args.rounds, args.seconds)
        result["one_of_eight_changing"] = still_places(bench, args.rounds, 2 * args.seconds)
        bench.close()
        result["memory"] = memory(folder, 3)
    result["load_after"] = os.getloadavg()[0]
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(
        json.dumps({key: result[key] for key in ("all_changing", "one_of_eight_changing", "memory")}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
