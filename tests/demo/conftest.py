"""Small parts with the real ones' interfaces, so that the demo's loop is tested without a model and in no time."""

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.demo.device import Device, Event, run_demo
from edge_app.demo.script import FPS, NEW, SHOT_S, TAUGHT, UNDO, Script, write_script
from edge_app.messages import Decision
from edge_app.simulation.devices import SimulatedButtons, SimulatedCamera, SimulatedClock, SimulatedIndicator
from edge_app.simulation.photographs import Photographs, load_photographs
from edge_app.simulation.scene import PhotographScene

STEPS = 10


class ColourEncoder:
    """Embeds an image as its 8 x 8 colours."""

    runtime = "none"

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).reshape(-1)


class Taught(NamedTuple):
    example_id: int
    label: str
    before: Decision


class NearestMean:
    """A learner that keeps examples in a list and calls the class with the nearest mean."""

    def __init__(self) -> None:
        self.examples: list[tuple[str, NDArray[np.float64]]] = []

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label for label, _ in self.examples))

    def teach(self, embedding: NDArray[np.uint8], label: str, *, source: str, thumbnail: bytes | None = None) -> Taught:
        assert source.startswith("button ")
        assert thumbnail is not None
        assert thumbnail[:2] == b"\xff\xd8"
        before = self.classify(embedding)
        self.examples.append((label, embedding.astype(float)))
        return Taught(len(self.examples), label, before)

    def undo(self) -> None:
        self.examples.pop()

    def classify(self, embedding: NDArray[np.uint8]) -> Decision:
        labels = self.labels
        distances = []
        for label in labels:
            mean = np.mean([value for name, value in self.examples if name == label], axis=0)
            distances.append(float(np.linalg.norm(embedding - mean)) / len(embedding) ** 0.5)
        spikes = np.array([max(0, 150 - round(distance)) for distance in distances], np.int32)
        first = np.where(spikes > 0, STEPS - spikes // 4, STEPS).astype(np.int32)
        if not spikes.any():
            return Decision(None, labels, spikes, first, 0, spikes.astype(np.int64) << 10)
        order = np.sort(spikes)[::-1]
        margin = int(order[0] - order[1:2].sum())
        return Decision(labels[int(np.argmax(spikes))], labels, spikes, first, margin, spikes.astype(np.int64) << 10)


class Setup(NamedTuple):
    """A demo put together from simulated parts."""

    device: Device
    script: Script
    learner: NearestMean
    indicator: SimulatedIndicator
    buttons: SimulatedButtons


@pytest.fixture(scope="session")
def photographs() -> Photographs:
    pytest.importorskip("skimage", reason="needs scikit-image: pip install 'edge-app[demo]'")
    return load_photographs()


@pytest.fixture
def make_setup(photographs: Photographs) -> Callable[..., Setup]:
    def make(*, seed: int = 0, shots: int = 2, frames: int = 8) -> Setup:
        clock = SimulatedClock()
        script = write_script(photographs, seed=seed, shots=shots, frames=frames, start_ns=clock.monotonic_ns())
        scene = PhotographScene(photographs, script.shot, shot_s=SHOT_S, size=(64, 48))
        camera = SimulatedCamera(scene, clock, fps=FPS)
        camera.open()
        buttons = SimulatedButtons((*TAUGHT, NEW, UNDO), clock)
        script.press_all(buttons)
        indicator, learner = SimulatedIndicator(clock), NearestMean()
        ticks = count(0, 2_000_000)  # two milliseconds between any two looks at the stopwatch
        device = Device(
            camera, buttons, indicator, lambda image: image, ColourEncoder(), learner, timer=lambda: next(ticks)
        )
        return Setup(device, script, learner, indicator, buttons)

    return make


@pytest.fixture
def events(make_setup: Callable[..., Setup]) -> list[Event]:
    """All events of one run."""
    setup, seen = make_setup(), []
    run_demo(setup.device, setup.script, seen.append)
    return seen
