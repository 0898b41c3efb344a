"""The results of a device for a fixed stream of frames and presses, as digests that another machine must equal.

Pictures are decoded, cut and enlarged by whole pixels only, so that the frames do not depend on the machine; from there
on everything is the program's own: preprocessing, encoder, rate code, learning, undo, relabelling, dreams, journal,
snapshots.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.config import ConsolidationConfig
from edge_app.datasets.pictures import decode_image
from edge_app.devices.ports import NS_PER_S
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.ratecode import RateCode
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.learner import Learner
from edge_app.learner.dreams import dream_picture
from edge_app.learner.pictures import thumbnail_of
from edge_app.messages import Decision
from edge_app.simulation.shapes import ShapesScene
from edge_app.storage.folder import snapshots_path
from edge_app.storage.snapshots import Snapshots

HERE = Path(__file__).parents[1] / "aarch64"
PICTURES = HERE / "pictures"
GOLDEN = HERE / "golden.json"
WINDOWS = (
    (0, 0, 266, 400, 1),
    (20, 60, 224, 224, 1),
    (30, 90, 200, 280, 1),
    (0, 40, 250, 300, 2),
    (10, 10, 240, 320, 3),
)
"""Top, left, height, width, and how many times each pixel is repeated: every way through the preprocessing."""
DREAMS = 4
TAUGHT = 3
"""Windows of a picture that are taught; the others are classified."""


class Shown(NamedTuple):
    """A frame and what it shows."""

    name: str
    label: str
    frame: NDArray[np.uint8]
    taught: bool


def digest(data: bytes | NDArray[Any]) -> str:
    """Return the first 64 bits of SHA-256, hexadecimal."""
    return hashlib.sha256(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()).hexdigest()[:16]


def frames() -> Iterator[Shown]:
    """Yield windows of three photographs, and frames of the simulated camera."""
    for path in sorted(PICTURES.glob("*.jpg")):
        picture = decode_image(path)
        for number, (top, left, height, width, times) in enumerate(WINDOWS):
            window = picture[top : top + height, left : left + width]
            frame = window.repeat(times, axis=0).repeat(times, axis=1)
            yield Shown(f"{path.stem} {frame.shape[1]}x{frame.shape[0]}", path.stem, frame, number < TAUGHT)
    scene = ShapesScene(seed=7)
    for tenth in (1, 11, 44, 57):
        time_ns = tenth * NS_PER_S // 10
        yield Shown(f"sim: at {tenth / 10:g} s", scene.truth(time_ns), scene.image(time_ns), tenth < 40)


def decoders() -> dict[str, str]:
    """Return digests of what cameras' formats become: they are decoded by OpenCV's and Pillow's vector code."""
    import cv2

    jpeg = (PICTURES / "coffee.jpg").read_bytes()
    ramp = np.arange(480 * 640 * 2, dtype=np.uint32)
    yuyv = (ramp * 2_654_435_761 >> 24).astype(np.uint8).reshape(480, 640, 2)
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return {
        "jpeg by Pillow": digest(decode_image(jpeg)),
        "jpeg by OpenCV": digest(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)),
        "yuyv by OpenCV": digest(cv2.cvtColor(yuyv, cv2.COLOR_YUV2RGB_YUYV)),
    }


def walk(folder: Path, threads: int = 1) -> dict[str, Any]:
    """Teach and classify in a fresh state `folder`; return all that was computed on the way."""
    manifest = load_manifest()
    rate_code = RateCode.for_model(manifest)
    preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
    seen: dict[str, Any] = {}
    decisions: dict[str, Any] = {}
    later: list[tuple[str, NDArray[np.uint8]]] = []
    with (
        TFLiteEncoder(manifest, threads=threads) as encoder,
        Learner.open(folder, manifest, threads=threads, clock=lambda: 0) as learner,
    ):
        for shown in frames():
            prepared = preprocess(shown.frame)
            embedding = encoder.encode(prepared)
            counts, thumbnail = rate_code(embedding), thumbnail_of(prepared)
            seen[shown.name] = [digest(data) for data in (shown.frame, prepared, embedding, counts, thumbnail)]
            if shown.taught:
                taught = learner.teach(embedding, shown.label, source="test", thumbnail=thumbnail)
                decisions[f"before {shown.name}"] = told(taught.before)
            else:
                later.append((shown.name, embedding))
        taught_only = learner.network_state()
        learner.relabel(2, "other")
        learner.teach(later[0][1], "slip", source="test")
        learner.undo()
        corrected = learner.network_state()
        dreams = dreamt(learner, encoder)
        decisions |= {f"then {name}": told(learner.classify(embedding)) for name, embedding in later}
    (_, _, snapshot), *_ = Snapshots(snapshots_path(folder)).candidates()
    shutil.rmtree(snapshots_path(folder))
    with Learner.open(folder, manifest, threads=threads) as learner:  # nothing but the journal is left
        replayed = learner.network_state()
    columns = CoLaNET.from_snapshot(snapshot).columns
    return {
        "encoder": [manifest.name, manifest.sha256[:16]],
        "decoders": decoders(),
        "frames": seen,
        "dreams": dreams,
        "decisions": decisions,
        "weights": [digest(columns.weights), digest(columns.threshold), digest(columns.tonic)],
        "states": {
            "taught": digest(taught_only),
            "corrected": digest(corrected),
            "snapshot": digest(snapshot),
            "replayed from the journal": digest(replayed),
        },
    }


def dreamt(learner: Learner, encoder: TFLiteEncoder) -> dict[str, list[str]]:
    """Let altered thumbnails be learnt; return digests of picture and embedding of each."""
    found = {}
    for _ in range(DREAMS):
        task = learner.next_dream(ConsolidationConfig())
        assert task is not None
        assert task.thumbnail is not None
        picture = dream_picture(task.thumbnail, task.number, encoder.manifest.input_size)
        embedding = encoder.encode(picture)
        assert learner.learn_dream(task, embedding)
        found[f"example {task.example}, dream {task.number}"] = [digest(picture), digest(embedding)]
    return found


def told(decision: Decision) -> list[Any]:
    """Return a decision as JSON values: label, margin, spikes and excitation of each class, novelty, separation."""
    arrays = [decision.spikes.tolist(), decision.excitation.tolist()]
    return [decision.label, decision.margin, *arrays, decision.novelty, decision.separation]


def text_of(found: dict[str, Any]) -> str:
    """Return the golden file's text: a line an entry, so that a difference shows where it begins."""
    sections = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines = [f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()]
            sections.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n  }")
        else:
            sections.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":  # `make golden`, after a change of the arithmetic that is meant
    if platform.machine() != "x86_64":
        raise SystemExit(f"{GOLDEN.name} holds what x86-64 computes; this is {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(text_of(walk(Path(folder) / "state")), encoding="ascii")
    print(GOLDEN.name)
