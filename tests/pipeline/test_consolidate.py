"""Dreams beside the loop, stepped by hand on a simulated clock, and in their thread in a whole pipeline."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from edge_app.config import ConsolidationConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import StateNotWritable
from edge_app.learner import Learner
from edge_app.learner.consolidation import ReplayTask
from edge_app.learner.pictures import thumbnail_of
from edge_app.pipeline.commands import CommandQueue, Undo
from edge_app.pipeline.consolidate import AFTER_FAILURE_NS, Consolidate, IdleDetector
from edge_app.pipeline.pace import Thermometer
from edge_app.pipeline.pipeline import Pipeline, one_place
from edge_app.pipeline.stage import SLICE_S
from edge_app.simulation.devices import SimulatedButtons, SimulatedCamera, SimulatedClock
from support.configs import quiet_config
from support.pipeline_parts import SIDE, PatchEncoder, Reports, colour, make_preprocess
from support.simple_network import clean_replay, folder_in_memory, open_learner

IDLE_S, SHARE = 30.0, 0.1
CONFIG = ConsolidationConfig(dreams=2, per_class=100, idle_s=IDLE_S, share=SHARE)


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    with open_learner(tmp_path) as learner:
        yield learner


def teach(learner: Learner, name: str = "red", seed: int = 0) -> None:
    picture = make_preprocess()(colour(name, seed))
    learner.teach(PatchEncoder().encode(picture), name, source="test", thumbnail=thumbnail_of(picture))


class Rig:
    def __init__(self, learner: Learner, config: ConsolidationConfig = CONFIG) -> None:
        self.clock, self.stop, self.ended = SimulatedClock(), threading.Event(), threading.Event()
        self.encoder, self.reports, self.commands = PatchEncoder(), Reports(), CommandQueue()
        self.calm, self.temperature = IdleDetector(self.clock), Thermometer(self.clock, self.reports)
        self.stage = Consolidate(
            config,
            learner,
            SIDE,
            self.encoder,
            self.calm,
            self.commands,
            self.temperature,
            self.clock,
            self.stop,
            self.ended,
            self.reports,
        )

    def idle(self) -> None:
        self.clock.advance(IDLE_S)

    def step(self, times: int = 1) -> int:
        """Step so often, and return the number of dreams learnt."""
        before = self.stage.dreamt
        for _ in range(times):
            assert self.stage.step()
        return self.stage.dreamt - before


def test_nothing_is_dreamt_until_nothing_has_happened_for_long_enough(learner: Learner) -> None:
    teach(learner)
    rig = Rig(learner)
    steps = round(IDLE_S / SLICE_S)
    assert rig.step(steps) == 0, "waits in slices, and takes no longer than its time"
    assert rig.clock.monotonic_ns() == (1 + IDLE_S) * NS_PER_S
    assert rig.step() == 1


def test_all_is_dreamt_and_then_nothing_until_something_happens(learner: Learner, tmp_path: Path) -> None:
    teach(learner, "red")
    teach(learner, "blue")
    rig = Rig(learner)
    rig.idle()
    assert rig.step(20) == 4
    assert learner.dreams(CONFIG) == (4, 0)
    assert learner.network_state() == clean_replay(tmp_path)
    assert rig.reports.events == ["consolidated"]
    assert rig.reports.last("consolidated") == {"dreams": 4}
    teach(learner, "green")
    rig.calm.disturb()
    rig.idle()
    assert rig.step(20) == 2
    assert rig.reports.last("consolidated") == {"dreams": 2}


def test_rehearsals_are_learnt_several_in_a_step(learner: Learner, tmp_path: Path) -> None:
    for number in range(6):
        learner.teach(np.full(32, number, np.uint8), "red", source="test", thumbnail=b"not read")
    rig = Rig(learner, replace(CONFIG, dreams=1, per_class=1, rehearsals=2))
    rig.idle()
    assert rig.step() == 12
    assert rig.encoder.asked == 0
    assert rig.step() == 0
    assert learner.network_state() == clean_replay(tmp_path)


def test_a_picture_that_changes_and_one_that_stands_still(learner: Learner) -> None:
    teach(learner)
    rig = Rig(learner)
    look = rig.calm.observer()
    for seed in range(8):
        look(make_preprocess()(colour("red", seed)))
        rig.clock.advance(IDLE_S / 8)
    assert rig.step() == 1, "a sensor's noise is no change"
    look(make_preprocess()(colour("blue")))
    assert rig.step() == 0
    rig.idle()
    assert rig.step() == 1


@pytest.mark.parametrize("what", ["command", "too warm", "stop"])
def test_whatever_happens_comes_first(learner: Learner, what: str) -> None:
    teach(learner)
    rig = Rig(learner)
    rig.idle()
    if what == "command":
        assert rig.commands.put(Undo(source="test"))
    elif what == "too warm":
        rig.temperature.slowed = True
    else:
        rig.stop.set()
    assert rig.step(3) == 0
    assert learner.dreams(CONFIG)[0] == 0


def test_it_wakes_between_making_a_dream_and_learning_it(learner: Learner) -> None:
    teach(learner)
    rig = Rig(learner)
    rig.idle()
    encode = rig.encoder.encode

    def disturbed(image: np.ndarray) -> np.ndarray:
        rig.clock.advance(0.05)
        rig.calm.disturb()
        return encode(image)

    rig.encoder.encode = disturbed  # type: ignore[method-assign]
    assert rig.step() == 0
    assert learner.dreams(CONFIG) == (0, 2)


def test_it_takes_no_more_than_its_share_of_the_time(learner: Learner) -> None:
    teach(learner)
    rig = Rig(learner)
    rig.idle()
    encode = rig.encoder.encode

    def slow(image: np.ndarray) -> np.ndarray:
        rig.clock.advance(0.5)
        return encode(image)

    rig.encoder.encode = slow  # type: ignore[method-assign]
    start_ns = rig.clock.monotonic_ns()
    while rig.step() == 0 or learner.dreams(CONFIG)[0] < 2:
        pass
    took_s = (rig.clock.monotonic_ns() - start_ns) / NS_PER_S
    assert took_s == pytest.approx(0.5 + 0.5 * (1 / SHARE - 1) + 0.5, abs=SLICE_S)


def test_a_full_disk_is_told_and_tried_again_later(learner: Learner) -> None:
    teach(learner)
    rig = Rig(learner)
    rig.idle()

    class Full:
        rebuilding = False

        def next_dream(self, config: ConsolidationConfig) -> ReplayTask | None:
            return learner.next_dream(config)

        def learn_dream(self, task: ReplayTask, embedding: np.ndarray) -> bool:
            raise StateNotWritable("the disk is full")

    rig.stage._learner = cast(Learner, Full())
    assert rig.step(10) == 0
    assert rig.reports.events == ["dream_failed"]
    assert rig.reports.last("dream_failed") == {"reason": "the disk is full"}
    rig.stage._learner = learner
    rig.clock.advance(AFTER_FAILURE_NS / NS_PER_S)
    assert rig.step() == 1


def test_a_damaged_picture_stops_nothing_else(learner: Learner) -> None:
    bad = learner.teach(np.zeros(32, np.uint8), "red", source="test", thumbnail=b"no JPEG").example_id
    teach(learner, "red")
    rig = Rig(learner)
    rig.idle()
    assert rig.step(20) == 2
    assert rig.reports.events == ["example_left_out", "consolidated"]
    assert rig.reports.last("example_left_out")["example"] == bad
    assert list(learner.left_out) == [bad]
    rig.idle()
    rig.step(20)
    assert rig.reports.events == ["example_left_out", "consolidated"], "it is reported once"


def test_it_ends_with_the_recording(learner: Learner) -> None:
    rig = Rig(learner)
    rig.ended.set()
    assert not rig.stage.step()


class StillScene:
    """Shows one colour all the time."""

    def image(self, time_ns: int) -> np.ndarray:
        return colour("green", time_ns // 1_000_000)


def test_a_whole_pipeline_dreams_says_so_and_stops_in_time(learner: Learner, tmp_path: Path) -> None:
    teach(learner, "red")
    teach(learner, "blue")
    clock, reports = MonotonicClock(), Reports()
    camera = SimulatedCamera(StillScene(), clock, fps=100)
    camera.open()
    buttons = SimulatedButtons(("red", "undo"), clock)
    pipeline = Pipeline(
        one_place(camera, buttons, None, make_preprocess, PatchEncoder(), learner, SIDE),
        clock,
        reports,
        quiet_config(consolidation=replace(CONFIG, idle_s=1, share=1)),
    )
    pipeline.start()
    try:
        reports.wait_for(lambda events: "consolidated" in events)
        assert "consolidate" in pipeline.stages
        assert pipeline.status().dreamt == 4
    finally:
        assert pipeline.stop(30) == []
    assert pipeline.failure is None
    assert learner.dreams(CONFIG) == (4, 0)
    assert learner.network_state() == clean_replay(tmp_path)
