"""`python -m benchmarks.events`: events as the encoder's input, and how fast a recording is decided on.

Accuracy (with --data): `edge-app evaluate` on pictures, on their events as edge pictures, and on their events in two
colours with the spiking encoder of events, where that is installed. Steps (with --data): decided after the first steps
of each picture's events, learnt with all eight steps and with as many. Speed: a recording of a million events a second
is written, and played as fast as one core allows, camera to decision; the processor time of both processes, the
decoder's too, is compared with the length of the recording. The memory of both is looked at along the way.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.page import Table, markdown
from edge_app import cli, machine
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.datasets.dataset import Dataset
from edge_app.devices import open_camera
from edge_app.encoder.background import load_background
from edge_app.encoder.model import ModelManifest, find_models, load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.ratecode import RateCode
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.evaluation.edges import EventEncoder
from edge_app.evaluation.embedded_draws import prepare
from edge_app.evaluation.embedding import embed
from edge_app.evaluation.splits import choose_splits
from edge_app.evaluation.trial import EvaluationSettings, TimedNetwork, run_trial
from edge_app.events.gradient import STEPS
from edge_app.simulation.devices import SimulatedClock

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "events.json"
PAGE = ROOT / "docs" / "events.md"
FIGURE = ROOT / "docs" / "figures" / "events.png"
SETS = ("sign_digits", "grocery")
EVENTS_MODEL = "efficientnet_lite0_events"
KINDS = {
    "pictures": (),
    "events": ("--events",),
    "events, spiking encoder of events": ("--events", "--model", EVENTS_MODEL, "--metrics"),
}
"""Row -> options of `edge-app evaluate`."""
DECIDED_AFTER = (1, 2, 4, 8)
"""Steps of a picture's events."""
NAMES = {"nearest_class_mean": "nearest class mean", "logistic_regression": "logistic regression"}
SIZE = (640, 480)
RATE = 1_000_000
"""Events of a second."""
TAUGHT = 16
"""Classes that the classifier knows."""
BLOCK = 64
"""Events between two words of EVT2 that hold the upper bits of the time: an event each microsecond."""


# a recording


def write_recording(path: Path, seconds: int) -> None:
    """Write a disc whose edge makes events, over noise, as EVT2."""
    width, height = SIZE
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(f"% evt 2.0\n% geometry {width}x{height}\n% end\n".encode())
        for tenth in range(10 * seconds):
            count = RATE // 10 // BLOCK * BLOCK
            first = tenth * (RATE // 10 // BLOCK)
            angle = random.random(count) * 2 * np.pi
            on = np.cos(angle) > 0
            x = (width // 2 + 100 * np.sin(tenth / 10) + 80 * np.cos(angle)).astype(np.uint32)
            y = (height // 2 + 80 * np.sin(angle)).astype(np.uint32)
            noise = random.random(count) < 0.3
            x[noise] = random.integers(0, width, int(noise.sum()))
            y[noise] = random.integers(0, height, int(noise.sum()))
            words = np.empty((count // BLOCK, BLOCK + 1), "<u4")
            words[:, 0] = 0x8 << 28 | first + np.arange(len(words))
            low = np.arange(count, dtype=np.uint32) % BLOCK << 22
            words[:, 1:] = (on.astype(np.uint32) << 28 | low | x << 11 | y).reshape(-1, BLOCK)
            file.write(words.tobytes())


# speed and memory


class Decider:
    """The stages from a frame to a decision, on classes of random spikes."""

    def __init__(self) -> None:
        manifest = load_manifest(None)
        self._preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
        self._encoder = TFLiteEncoder(manifest)
        self._code = RateCode.for_model(manifest)
        self._network = CoLaNET(Params.preset("default"), self._code.n_inputs)
        random = np.random.default_rng(1)
        for number in range(TAUGHT):
            self._network.add_class(str(number))
            self._network.learn_one(random.integers(0, 11, self._code.n_inputs).astype(np.uint8), str(number))

    def decide(self, image: NDArray[np.uint8]) -> str | None:
        """Return the label."""
        return self._network.predict_one(self._code(self._encoder.encode(self._preprocess(image)))).label


def resident_mb() -> float:
    """Return the memory of this process and of the decoder's."""
    own = os.getpid()
    pages = 0
    for process in (own, *Path(f"/proc/{own}/task/{own}/children").read_text().split()):
        pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_s() -> float:
    """Return the processor time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def play(path: Path, decider: Decider | None) -> dict[str, Any]:
    """Play a recording without waiting; return times, and the memory along the way."""
    started, used = time.perf_counter(), processor_s()
    memory: list[float] = []
    with open_camera(f"events:{path}", SimulatedClock()) as camera:
        while (frame := camera.read(1.0)) is not None:
            if decider:
                decider.decide(frame.image)
            memory.append(resident_mb())
    # the decoder has ended when the last windows are shown
    tenth, late = len(memory) // 10, len(memory) * 9 // 10
    return {
        "frames": len(memory),
        "wall_s": round(time.perf_counter() - started, 2),
        "processor_s": round(processor_s() - used, 2),
        "memory_mb": {"after a tenth": round(memory[tenth], 1), "after nine tenths": round(memory[late], 1)},
    }


def measure_speed(seconds: int) -> dict[str, Any]:
    """Play a recording on one core: decided on, and read alone."""
    cores = os.sched_getaffinity(0)
    # the decoder's process inherits it
    os.sched_setaffinity(0, {max(cores)})
    decider = Decider()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.raw"
        write_recording(path, 2)
        play(path, decider)
        write_recording(path, seconds)
        whole, read = play(path, decider), play(path, None)
    os.sched_setaffinity(0, cores)
    return {
        "machine": machine.describe(),
        "recording": {"seconds": seconds, "events": seconds * RATE, "size": list(SIZE), "kind": "EVT2"},
        "decided_on": whole | {"cores": round(whole["processor_s"] / seconds, 3)},
        "read_alone": read | {"cores": round(read["processor_s"] / seconds, 3)},
    }


# accuracy


def kept(values: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an evaluation."""
    return {
        "accuracy": values["accuracy"],
        "unknown": values["rejecting"]["unknown"],
        **{key: values["baselines"][key] for key in NAMES},
        "n_train": values["n_train"],
        "n_test": values["n_test"],
        "skipped": len(values["skipped"]),
        "events_ms": values["ms"].get("events", {}).get("p50"),
        **({"encoder": values["metrics"]["encoder"]} if "metrics" in values else {}),
    }


def measure_accuracy(data: Path, cache: Path) -> dict[str, Any]:
    """Evaluate each data set in each of the KINDS whose model is installed: all examples, one pass, one draw."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            for kind, options in KINDS.items():
                if EVENTS_MODEL in options and EVENTS_MODEL not in find_models():
                    continue
                target = Path(folder) / "result.json"
                command = ["evaluate", str(data / f"{name}.zip"), "--json", str(target), "--cache", str(cache)]
                if cli.run([*command, *options]):
                    raise SystemExit(2)
                values = json.loads(target.read_text(encoding="utf-8"))
                found.setdefault(name, {})[kind] = kept(values)
    return found


def measure_steps(data: Path, cache: Path) -> dict[str, Any]:
    """Return the accuracies after the first steps of a picture's events.

    By data set, encoder, what was learnt ("all steps", or "as many" as are decided on), and the number of steps.
    """
    models = {"edge pictures": load_manifest()}
    if EVENTS_MODEL in find_models():
        models["spiking encoder of events"] = load_manifest(EVENTS_MODEL)
    found: dict[str, Any] = {}
    for name in SETS:
        with Dataset(data / f"{name}.zip") as dataset:
            for title, manifest in models.items():
                whole = accuracies_after(dataset, manifest, STEPS, DECIDED_AFTER, cache)
                alike = dict(whole)
                for steps in DECIDED_AFTER:
                    if steps < STEPS:
                        alike |= accuracies_after(dataset, manifest, steps, (steps,), cache)
                found.setdefault(name, {})[title] = {"all steps": whole, "as many": alike}
    return found


def accuracies_after(
    dataset: Dataset, manifest: ModelManifest, learnt: int, decided: Sequence[int], cache: Path
) -> dict[str, float]:
    """Learn the first steps of a data set's events as `evaluate --events` does; return {steps: accuracy after them}."""
    code, background = RateCode.for_model(manifest), load_background(manifest)

    def make_network() -> CoLaNET:
        return CoLaNET(Params.preset("default"), code.n_inputs, background=background)

    setting = EvaluationSettings(choose_splits(dataset.splits, None, None), baselines=())
    with EventEncoder(manifest, steps=learnt) as encoder:
        material = prepare(dataset, encoder, code, make_network, setting, cache=str(cache))
    learner = TimedNetwork(make_network(), material.rows, material.counts, material.times_ms)
    run_trial(learner, material.learnt(0), material.tested(0), setting, setting.seed, lambda what, items: items)
    tested = [dataset.items[index] for index in material.draws[0].test]
    found = {}
    for steps in decided:
        with EventEncoder(manifest, steps=steps) as encoder:
            shown = embed(dataset, encoder, items=tested, cache=cache)
        labels = [learner.index(learner.network.predict_one(code(row))) for row in shown.values]
        found[str(steps)] = float(np.mean(labels == shown.labels))
    return found


# the page


def accuracy_table(result: dict[str, Any]) -> Table:
    """The accuracies beside one another."""
    rows = [["", "CoLaNET", *NAMES.values(), "learnt", "tested", "left out", "CoLaNET, were those wrong"]]
    for name, kinds in result["accuracy"].items():
        for kind, one in kinds.items():
            shares = [f"{100 * one[key]:.1f} %" for key in ("accuracy", *NAMES)]
            counts = [one[key] for key in ("n_train", "n_test", "skipped")]
            least = one["accuracy"] * (1 - one["skipped"] / sum(counts))
            rows.append([f"{name}, {kind}", *shares, *(f"{count:,}" for count in counts), f"{100 * least:.1f} %"])
    return rows


def steps_table(result: dict[str, Any]) -> Table:
    """The accuracies after the first steps."""
    rows = [["decision after", "learnt", *(f"{steps} step{'s' if steps > 1 else ''}" for steps in DECIDED_AFTER)]]
    for name, models in result.get("steps", {}).items():
        for title, found in models.items():
            for learnt, after in found.items():
                shares = (f"{100 * share:.1f} %" for share in after.values())
                rows.append([f"{name}, {title}", learnt, *shares])
    return rows


def tables(result: dict[str, Any]) -> dict[str, Table]:
    """Return the page's tables by the names of their markers."""
    return {"accuracy": accuracy_table(result), "steps": steps_table(result), "speed": speed_table(result)}


def speed_table(result: dict[str, Any]) -> Table:
    """Cores and memory of both runs."""
    rows = [["a million events a second", "cores", "memory after a tenth", "after nine tenths"]]
    for key, title in (("read_alone", "read and drawn"), ("decided_on", "decided on")):
        one = result["speed"][key]
        rows.append([title, f"{one['cores']:.2f}", *(f"{mb:.0f} MB" for mb in one["memory_mb"].values())])
    return rows


def write_page(result: dict[str, Any]) -> None:
    """Replace the tables between their markers."""
    text = PAGE.read_text(encoding="utf-8")
    for name, rows in tables(result).items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = before + begin + markdown(rows) + "\n" + end + after
    PAGE.write_text(text, encoding="utf-8")


def draw_figure() -> None:
    """Draw a photograph as events: the steps, their sum; and a moving shape as a camera and as an event camera."""
    from PIL import Image
    from skimage.data import astronaut

    from edge_app.events.differences import FrameDifferences
    from edge_app.events.drawing import draw
    from edge_app.events.gradient import edge_picture, events_of_picture
    from edge_app.simulation.shapes import ShapesScene

    photograph = np.asarray(Image.fromarray(astronaut()).resize((224, 224), Image.Resampling.LANCZOS))
    steps = events_of_picture(photograph).astype(np.int16)
    scene, differences = ShapesScene(seed=4, size=(224, 224)), FrameDifferences()
    differences.events(scene.image(2_100_000_000))
    moving = scene.image(2_150_000_000)
    counts = differences.events(moving)
    rows = (
        (photograph, draw(steps[0], "red-blue"), draw(steps[1], "red-blue"), edge_picture(photograph)),
        (moving, draw(counts, "red-blue"), draw(counts, "grey")),
    )
    gap = 8
    sheet = np.full((2 * 224 + gap, 4 * 224 + 3 * gap, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            sheet[i * (224 + gap) : i * (224 + gap) + 224, j * (224 + gap) : j * (224 + gap) + 224] = picture
    Image.fromarray(sheet).quantize(64).save(FIGURE, optimize=True)


def main() -> int:
    """Measure, and write the results, the page's tables and its picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the measuring data sets; without it no accuracy")
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings"), help="folder that keeps embeddings")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="length of the recording (default: 60)")
    parser.add_argument("--only-write", action="store_true", help="measure nothing; write the page and its picture")
    args = parser.parse_args()
    result: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    if not args.only_write:
        # first, because the memory that an evaluation took is not given back
        result["speed"] = measure_speed(args.seconds)
        if args.data:
            result["accuracy"] = measure_accuracy(args.data, args.cache)
            result["steps"] = measure_steps(args.data, args.cache)
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    write_page(result)
    draw_figure()
    cores = result["speed"]["decided_on"]["cores"]
    print(f"decided on by {cores:.2f} of a core", file=sys.stderr)  # noqa: T201
    return 1 if cores > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
