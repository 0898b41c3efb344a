"""All stages together, each in its thread; waits are on events, and bounded."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.config import CameraConfig, Config, DecisionConfig, IdleConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.files import DirectoryCamera
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.learner import Learner
from edge_app.pipeline.events import Corrected, Decided, Event, Health
from edge_app.pipeline.pipeline import Pipeline, one_place
from edge_app.pipeline.stage import SLACK_S, CameraLost, Heartbeats, StageFailed
from edge_app.simulation.devices import Fault, SimulatedButtons, SimulatedCamera, SimulatedClock, SimulatedIndicator
from support.configs import quiet_config
from support.pipeline_parts import SIDE, ColourScene, PatchEncoder, Reports, make_preprocess
from support.simple_network import clean_replay, folder_in_memory, open_learner


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


class Rig:
    """A pipeline of threads on the real clock, with a fast camera."""

    def __init__(self, learner: Learner, *faults: Fault, config: Config | None = None) -> None:
        self.clock = MonotonicClock()
        self.encoder, self.reports = PatchEncoder(), Reports()
        self.camera = SimulatedCamera(ColourScene(), self.clock, fps=100, faults=faults)
        self.camera.open()
        self.buttons = SimulatedButtons(("red", "green", "blue", "undo"), self.clock)
        self.indicator = SimulatedIndicator(self.clock)
        self.events: list[Event] = []
        self._came = threading.Condition()
        self.pipeline = Pipeline(
            one_place(self.camera, self.buttons, self.indicator, make_preprocess, self.encoder, learner, SIDE),
            self.clock,
            self.reports,
            config or quiet_config(),
            tell=self._keep,
        )
        self.changes = threading.Semaphore(0)

    def _keep(self, event: Event) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify_all()

    @property
    def decided(self) -> list[Decided]:
        return [event for event in self.events if isinstance(event, Decided)]

    def wait_for(self, right: Callable[[list[Event]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.events), 30)

    def wait_for_decided(self, right: Callable[[list[Decided]], bool]) -> None:
        self.wait_for(lambda _: right(self.decided))

    def wait_for_end(self) -> None:
        while self.pipeline.running:
            assert self.changes.acquire(timeout=30)

    def __enter__(self) -> "Rig":
        self.pipeline.start(self.changes.release)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.pipeline.stop(30) == []


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    with open_learner(tmp_path) as learner:
        yield learner


def test_frames_become_decisions_in_order_and_the_first_is_announced(learner: Learner) -> None:
    with Rig(learner) as rig:
        assert rig.pipeline.first_decision.wait(30)
        rig.wait_for_decided(lambda decided: len(decided) >= 20)
        status = rig.pipeline.status()
    assert [event.sequence for event in rig.decided] == sorted({event.sequence for event in rig.decided})
    assert (status.camera, status.reopened, status.rebuilding, status.learnt) == ("good", 0, False, 0)
    assert status.encoded >= status.decided >= 20
    assert status.last_decision is not None
    assert rig.pipeline.failure is None
    assert rig.reports.told == []


def test_a_press_is_learnt_while_decisions_go_on_and_is_there_after_the_end(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        with Rig(learner) as rig:
            rig.wait_for_decided(lambda decided: len(decided) >= 3)
            rig.buttons.press("red")
            rig.reports.wait_for(lambda events: events == ["learnt"])
            rig.wait_for_decided(lambda decided: decided[-1].label == "red")
        assert [signal for _, signal in rig.indicator.blinks] == ["learnt"]
        assert rig.reports.last("learnt")["frame_age_ms"] <= 20
        state = learner.network_state()
    assert state == clean_replay(tmp_path)


def test_a_correction_tells_that_the_network_is_rebuilt_and_when_it_is_done(learner: Learner) -> None:
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 3)
        rig.buttons.press("red")
        rig.buttons.press("undo")
        rig.wait_for(lambda events: any(isinstance(event, Health) and event.what == "rebuilt" for event in events))
    told = [event for event in rig.events if not isinstance(event, Decided)]
    # the decisions' thread may tell of the rebuild before the teacher tells of the correction
    assert sorted(type(event).__name__ for event in told) == ["Corrected", "Health", "Health", "Taught"]
    assert [type(event).__name__ for event in (told[0], told[-1])] == ["Taught", "Health"]
    assert [event.what for event in told if isinstance(event, Health)] == ["rebuilding", "rebuilt"]
    corrected = next(event for event in told if isinstance(event, Corrected))
    assert (corrected.kind, corrected.labels, corrected.source) == ("undone", ("red",), "button undo")


def test_a_fault_of_the_camera_is_logged_and_told(learner: Learner) -> None:
    with Rig(learner, Fault("unplug", 0.2, float("inf"))) as rig:
        rig.wait_for(lambda events: any(isinstance(event, Health) for event in events))
    event = next(event for event in rig.events if isinstance(event, Health))
    assert event.what in ("camera_fault", "camera_absent")
    assert (event.what, dict(event.fields)) in [(one.event, one.fields) for one in rig.reports.told]


def test_a_disk_that_makes_teaching_wait_does_not_make_decisions_wait(learner: Learner) -> None:
    store = learner._store
    commit, storing, stored = store.commit, threading.Event(), threading.Event()

    def slow_commit(*args: object, **options: object) -> object:
        storing.set()
        assert stored.wait(30)
        return commit(*args, **options)  # type: ignore[arg-type]

    store.commit = slow_commit  # type: ignore[method-assign, assignment]
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 3)
        rig.buttons.press("red")
        assert storing.wait(30)
        count = len(rig.decided)
        rig.wait_for_decided(lambda decided: len(decided) >= count + 20)
        assert rig.reports.told == []
        stored.set()
        rig.reports.wait_for(lambda events: events == ["learnt"])


def test_a_slow_encoder_drops_frames_and_counts_them(learner: Learner) -> None:
    with Rig(learner, config=quiet_config(decision=DecisionConfig(max_fps=10))) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 5)
        status = rig.pipeline.status()
    assert status.dropped > 2 * status.encoded
    assert rig.decided[4].sequence - rig.decided[1].sequence > 9


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ZeroDivisionError("division by zero"), 10, "the stage encode failed: ZeroDivisionError: division by zero"),
        (InputError("encoder x is closed"), 2, "encoder x is closed"),
    ],
)
def test_a_stage_that_fails_stops_all_and_says_why(
    learner: Learner, error: Exception, status: int, message: str
) -> None:
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 3)
        rig.encoder.fails = error
        rig.wait_for_end()
    failure = rig.pipeline.failure
    assert failure is not None
    assert str(failure) == message
    assert failure.exit_status == status
    assert failure is error or (isinstance(failure, StageFailed) and failure.__cause__ is error)
    assert rig.reports.events == ["stage_failed"]


def test_a_camera_that_is_lost_ends_the_pipeline(learner: Learner) -> None:
    with Rig(
        learner, Fault("unplug", 0.2, float("inf")), config=quiet_config(camera=CameraConfig(give_up_after_s=1))
    ) as rig:
        rig.wait_for_end()
    assert isinstance(rig.pipeline.failure, CameraLost)


def test_a_frozen_stage_is_overdue_and_only_that_one(learner: Learner) -> None:
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 3)
        rig.encoder.frozen = threading.Event()
        assert rig.encoder.entered.wait(30)
        clock = SimulatedClock(rig.clock.monotonic_ns())
        life = rig.pipeline.life
        assert life.overdue() == []
        life._clock, real = clock, life._clock
        clock.advance(rig.pipeline.first.encode.longest_wait_s + SLACK_S + 0.1)
        for name in ("capture", "prepare", "decide", "buttons", "teacher"):
            life.give(name)
        assert life.overdue() == ["encode"]
        life._clock = real
        assert rig.pipeline.stop(1.5) == ["encode"]
        rig.encoder.frozen.set()


def test_a_press_that_was_queued_is_learnt_before_the_stop(learner: Learner) -> None:
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 3)
        rig.encoder.frozen = threading.Event()
        rig.buttons.press("red")
        rig.buttons.press("green")
        assert rig.encoder.entered.wait(30)
        stopping = threading.Thread(target=rig.pipeline.stop, args=(30,))
        stopping.start()
        rig.encoder.frozen.set()
        stopping.join(30)
    taught = len(learner.examples())
    assert taught == rig.reports.events.count("learnt")
    assert rig.reports.events.count("command_refused") + taught <= 2


def test_a_recording_plays_to_its_end(learner: Learner, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    scene = ColourScene()
    for number in range(6):
        Image.fromarray(scene.image(number * NS_PER_S)).save(folder / f"{number}.png")
    clock, reports = MonotonicClock(), Reports()
    camera = DirectoryCamera(folder, clock, fps=50)
    camera.open()
    config = quiet_config(camera=CameraConfig(uri=f"dir:{folder}"))
    events: list[Event] = []
    changes = threading.Semaphore(0)
    parts = one_place(camera, SimulatedButtons((), clock), None, make_preprocess, PatchEncoder(), learner, SIDE)
    pipeline = Pipeline(parts, clock, reports, config, tell=events.append)
    pipeline.start(changes.release)
    while pipeline.running:
        assert changes.acquire(timeout=30)
    assert pipeline.failure is None
    assert pipeline.life.overdue() == []
    assert reports.events == ["recording_ended"]
    assert [event.sequence for event in events if isinstance(event, Decided)][-1] == 5


def test_other_settings_are_taken_over_while_running(learner: Learner) -> None:
    with Rig(learner) as rig:
        rig.wait_for_decided(lambda decided: len(decided) >= 10)
        rig.pipeline.reconfigure(quiet_config(idle=IdleConfig(threshold=200)))
        rig.wait_for_decided(lambda decided: not decided[-1].fresh)


def test_a_strictness_that_was_set_survives_a_reload_and_yields_to_another_configured_one(learner: Learner) -> None:
    pipeline = Rig(learner).pipeline
    group = pipeline.first.group
    group.strictness = 0.8
    pipeline.reconfigure(quiet_config(idle=IdleConfig(threshold=200)))
    assert group.strictness == 0.8
    pipeline.reconfigure(quiet_config(decision=DecisionConfig(strictness=0.25)))
    assert group.strictness == 0.25
    with pytest.raises(InputError, match="strictness = 2"):
        group.strictness = 2
    assert group.strictness == 0.25


def test_signs_of_life() -> None:
    clock = SimulatedClock()
    life = Heartbeats(clock)
    life.expect("a", 1.0)
    life.expect("b", 5.0)
    clock.advance(1 + SLACK_S + 0.01)
    assert life.overdue() == ["a"]
    life.give("a")
    assert life.overdue() == []
    clock.advance(60)
    assert life.overdue() == ["a", "b"]
    life.end("a")
    assert life.overdue() == ["b"]
