"""The demo with an encoder that needs no model: everything else is real."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.params import Params
from edge_app.demo.run import DemoEvent, DemoRun
from edge_app.demo.script import FPS, NEW, SHOT_S, TAUGHT, UNDO, Script, write_script
from edge_app.learner import Learner
from edge_app.learner.state import CoLaNETFactory
from edge_app.pipeline.pipeline import one_place
from edge_app.simulation.devices import SimulatedButtons, SimulatedCamera, SimulatedClock, SimulatedIndicator
from edge_app.simulation.photographs import Photographs, load_photographs
from edge_app.simulation.scene import PhotographScene
from edge_app.storage.folder import database_path, snapshots_path
from edge_app.storage.records import Binding
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store
from support.simple_network import folder_in_memory, rate_code

SIDE = 8


class ColourEncoder:
    """Embeds an image as its 8 x 8 colours."""

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).reshape(-1)


class Setup(NamedTuple):
    """A demo, not played yet."""

    run: DemoRun
    script: Script
    learner: Learner
    indicator: SimulatedIndicator
    events: list[DemoEvent]

    def play(self) -> list[DemoEvent]:
        self.run.play()
        return self.events


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture(scope="session")
def photographs() -> Photographs:
    pytest.importorskip("skimage", reason="needs scikit-image: pip install 'edge-app[demo]'")
    return load_photographs()


def open_learner(stack: ExitStack, folder: Path) -> Learner:
    n = 3 * SIDE * SIDE
    params = Params()
    bound = Binding("colours", "c" * 64, n, "r" * 64, params.digest, params.to_dict())
    store = Store.create(database_path(folder), bound)
    return stack.enter_context(Learner(store, Snapshots(snapshots_path(folder)), rate_code, CoLaNETFactory(params, n)))


@pytest.fixture(scope="session")
def make_setup(photographs: Photographs, memory: Path) -> Iterator[Callable[..., Setup]]:
    with ExitStack() as stack:

        def make(*, seed: int = 0, shots: int = 2, frames: int = 8) -> Setup:
            clock = SimulatedClock()
            script = write_script(photographs, seed=seed, shots=shots, frames=frames, start_ns=clock.monotonic_ns())
            scene = PhotographScene(photographs, script.shot, shot_s=SHOT_S, size=(64, 48))
            camera = SimulatedCamera(scene, clock, fps=FPS)
            camera.open()
            buttons = SimulatedButtons((*TAUGHT, NEW, UNDO), clock)
            script.press_all(buttons)
            indicator = SimulatedIndicator(clock)
            learner = open_learner(stack, Path(tempfile.mkdtemp(dir=memory)))
            ticks = count(0, 2_000_000)  # two milliseconds between any two looks at the stopwatch
            encoder = ColourEncoder()
            parts = one_place(camera, buttons, indicator, lambda: lambda image: image, encoder, learner, SIDE)
            events: list[DemoEvent] = []
            run = DemoRun(parts, clock, script, events.append, timer=lambda: next(ticks))
            return Setup(run, script, learner, indicator, events)

        yield make


@pytest.fixture(scope="session")
def events(make_setup: Callable[..., Setup]) -> list[DemoEvent]:
    """All events of one run."""
    return make_setup().play()
