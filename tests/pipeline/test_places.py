"""Several places of several cameras: each decides by itself, groups share what they learn, one encoder serves all."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.config import ButtonsConfig, DecisionConfig, IdleConfig, LightsConfig, NamedCameraConfig, PlaceConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.files import DirectoryCamera
from edge_app.devices.ports import NS_PER_S, Camera
from edge_app.devices.view import Region, View
from edge_app.messages import Frame
from edge_app.pipeline.capture import Outlet
from edge_app.pipeline.commands import Teach
from edge_app.pipeline.events import Corrected, Decided, Event, Health, Taught
from edge_app.pipeline.kept_strictness import KeptStrictness
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.pipeline import CameraParts, Pipeline, PipelineParts, PlaceParts
from edge_app.pipeline.place import GroupParts
from edge_app.pipeline.references import ClassReferences
from edge_app.simulation.devices import Fault, SimulatedButtons, SimulatedCamera, SimulatedClock, SimulatedIndicator
from support.configs import quiet_config
from support.pipeline_parts import SIDE, PatchEncoder, Reports, colour, make_preprocess
from support.simple_network import folder_in_memory, open_learner

GATE, SHELF, YARD = "gate", "shelf", "yard"


class Halves:
    """Two colours side by side, which a test may change; "dark" is one too."""

    def __init__(self, left: str, right: str) -> None:
        self.left, self.right = left, right

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        halves = [self._half(self.left, time_ns % 997), self._half(self.right, time_ns % 991)]
        return np.concatenate(halves, axis=1)

    @staticmethod
    def _half(name: str, seed: int) -> NDArray[np.uint8]:
        # without noise, which would be a change now and then
        return np.full((32, 32, 3), 20, np.uint8) if name == "dark" else colour(name, seed)


PLACES = (
    PlaceConfig(name=GATE, region=(0, 0, 0.5, 1), group="doors"),
    PlaceConfig(name=SHELF, region=(0.5, 0, 0.5, 1)),
    PlaceConfig(name=YARD, camera="back", group="doors"),
)
BACK = NamedCameraConfig(name="back", stall_after_s=0.2)


class Rig:
    """Two cameras: the first shows gate and shelf, the second yard; gate and yard are the group "doors"."""

    def __init__(self, folder: Path, *faults: Fault, other: Camera | None = None, **sections: Any) -> None:
        """`faults` are those of the second camera; `other` takes its place."""
        self.clock, self.reports, self.encoder = MonotonicClock(), Reports(), PatchEncoder()
        self.scene, self.other = Halves("red", "green"), Halves("blue", "blue")
        self._stack = ExitStack()
        self.learners = {name: self._stack.enter_context(open_learner(folder / name)) for name in ("doors", SHELF)}
        self.buttons = SimulatedButtons(("red", "green", "blue", "undo"), self.clock)
        self.indicator = SimulatedIndicator(self.clock)
        self.events: list[Event] = []
        self._came = threading.Condition()
        cameras = {
            "camera": SimulatedCamera(self.scene, self.clock, fps=100),
            "back": other or SimulatedCamera(self.other, self.clock, fps=100, faults=faults),
        }
        for camera in cameras.values():
            camera.open()
        self.config = quiet_config(**{"cameras": (BACK,), "places": PLACES} | sections)
        groups = {
            name: GroupParts(learner, ClassReferences(), KeptStrictness()) for name, learner in self.learners.items()
        }
        places = {
            one.name: PlaceParts(one.camera, one.group, View(Region(*one.region)), one.max_fps)
            for one in self.config.places_in_use()
        }
        parts = PipelineParts(
            {name: CameraParts(camera) for name, camera in cameras.items()},
            groups,
            places,
            self.buttons,
            self.indicator,
            make_preprocess,
            self.encoder,
            SIDE,
        )
        self.pipeline = Pipeline(parts, self.clock, self.reports, self.config, tell=self._keep)
        self.places = self.pipeline.places

    def _keep(self, event: Event) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify_all()

    def wait_for(self, right: Callable[[list[Event]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.events), 30)

    def of(self, place: str) -> list[Decided]:
        return [event for event in list(self.events) if isinstance(event, Decided) and event.place == place]

    def wait_for_more(self, count: int = 3, places: Sequence[str] = (GATE, SHELF, YARD)) -> None:
        """Wait until so many more decisions were made in each place."""
        before = {place: len(self.of(place)) for place in places}
        self.wait_for(lambda _: all(len(self.of(place)) >= before[place] + count for place in places))

    def wait_for_labels(self, **labels: str | None) -> None:
        self.wait_for(
            lambda _: all(self.of(place) and self.of(place)[-1].label == one for place, one in labels.items())
        )

    def press(self, button: str) -> Taught:
        count = sum(isinstance(event, Taught) for event in self.events)
        self.buttons.press(button)
        self.wait_for(lambda events: sum(isinstance(event, Taught) for event in events) > count)
        return [event for event in self.events if isinstance(event, Taught)][-1]

    def __enter__(self) -> "Rig":
        self.pipeline.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.pipeline.stop(30) == []
        self._stack.close()


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


BUTTONS = ButtonsConfig(places={"green": SHELF, "blue": YARD})


def test_each_place_decides_on_its_own_part_with_the_classes_of_its_group(tmp_path: Path) -> None:
    with Rig(tmp_path, buttons=BUTTONS) as rig:
        rig.wait_for_more()
        assert rig.press("red").place == GATE, "the first place, where a button names none"
        assert rig.press("green").place == SHELF
        assert rig.press("blue").place == YARD
        rig.wait_for_labels(gate="red", shelf="green", yard="blue")
        assert rig.learners["doors"].classes() == {"red": 1, "blue": 1}
        assert rig.learners[SHELF].classes() == {"green": 1}
        # what was taught in the yard is known at the gate
        rig.scene.left = "blue"
        rig.wait_for_labels(gate="blue")
        status = {name: place.status() for name, place in rig.places.items()}
    assert status[GATE].classes == status[YARD].classes == ("red", "blue")
    assert status[SHELF].classes == ("green",)
    assert all(one.decided >= 3 for one in status.values())
    together = rig.pipeline.status()
    assert together.decided == sum(place.status().decided for place in rig.places.values())
    assert (together.classes, together.learnt) == (("red", "blue", "green"), 3)


def test_the_undo_button_undoes_where_a_button_taught_last(tmp_path: Path) -> None:
    with Rig(tmp_path, buttons=BUTTONS) as rig:
        rig.wait_for_more()
        rig.press("red")
        rig.press("green")
        rig.buttons.press("undo")
        rig.wait_for(lambda events: any(isinstance(event, Corrected) for event in events))
        corrected = next(event for event in rig.events if isinstance(event, Corrected))
        assert (corrected.group, corrected.labels) == (SHELF, ("green",))
        assert rig.learners["doors"].classes() == {"red": 1}
        assert rig.learners[SHELF].classes() == {}


def test_the_lights_show_one_place_and_blink_for_all(tmp_path: Path) -> None:
    with Rig(tmp_path, buttons=BUTTONS, lights=LightsConfig(place=SHELF)) as rig:
        rig.wait_for_more()
        rig.press("green")
        rig.press("blue")
        rig.wait_for_labels(shelf="green", yard="blue")
        rig.wait_for_more(5)
    assert {label for _, label in rig.indicator.shown} == {None, "green"}
    assert [signal for _, signal in rig.indicator.blinks] == ["learnt", "learnt"]


def test_a_camera_that_is_unplugged_takes_its_own_places_alone(tmp_path: Path) -> None:
    with Rig(tmp_path, Fault("unplug", 0.3, float("inf"))) as rig:
        rig.wait_for(lambda events: any(isinstance(event, Health) for event in events))
        gone = len(rig.of(YARD))
        rig.wait_for_more(20, (GATE, SHELF))
        assert len(rig.of(YARD)) <= gone + 1, "a frame may have been on its way"
        assert {name: place.status().camera for name, place in rig.places.items()} == {
            GATE: "good",
            SHELF: "good",
            YARD: "reopening",
        }
        health = next(event for event in rig.events if isinstance(event, Health))
        assert (health.what, health.camera) == ("camera_fault", "back")
        assert [place.concerned_by(health) for place in rig.places.values()] == [False, False, True]
        assert not rig.pipeline.camera_absent
        assert rig.pipeline.failure is None


def test_a_camera_that_does_not_come_back_ends_nothing_while_there_is_another(tmp_path: Path) -> None:
    back = NamedCameraConfig(name="back", stall_after_s=0.1, give_up_after_s=1)
    with Rig(tmp_path, Fault("unplug", 0.1, float("inf")), cameras=(back,)) as rig:
        absent = ["camera_absent"] * 2
        rig.reports.wait_for(lambda events: [event for event in events if event == "camera_absent"] >= absent)
        rig.wait_for_more(150, (GATE,))
        assert rig.pipeline.failure is None
        assert rig.pipeline.running


def test_a_recording_that_ends_leaves_the_other_camera_running(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), colour("blue", number))
    recording = DirectoryCamera(folder, MonotonicClock(), fps=50)
    with Rig(tmp_path, other=recording, cameras=(NamedCameraConfig(name="back", uri=f"dir:{folder}"),)) as rig:
        rig.reports.wait_for(lambda events: "recording_ended" in events)
        rig.wait_for(lambda _: [event.sequence for event in rig.of(YARD)][-1:] == [2])
        rig.wait_for_more(10, (GATE, SHELF))
        assert rig.press("red").place == GATE


def test_only_the_place_that_changes_is_encoded(tmp_path: Path) -> None:
    with Rig(tmp_path, idle=IdleConfig(threshold=20, watch_fps=0)) as rig:
        rig.wait_for_more(10)
        before = {name: place.encode.encoded for name, place in rig.places.items()}
        rig.scene.right = "dark"
        rig.wait_for(lambda _: rig.places[SHELF].encode.encoded > before[SHELF])
        rig.wait_for_more(10)
        after = {name: place.encode.encoded for name, place in rig.places.items()}
    assert {name: after[name] - before[name] for name in after} == {GATE: 0, SHELF: 1, YARD: 0}


def test_a_still_place_is_looked_at_less_often_while_its_neighbour_moves() -> None:
    clock, taken = SimulatedClock(), Latest[Frame]()
    pace = Pace(quiet_config(idle=IdleConfig(threshold=3, watch_fps=5)), clock, Reports())
    outlet = Outlet(taken, pace)
    given = 0
    for number in range(300):  # ten seconds at 30 frames a second, in which nothing changes
        outlet.put(Frame(colour("red"), number * NS_PER_S // 30, number))
        if (frame := taken.take(0)) is not None:
            given += 1
            pace.saw(frame.time_ns, changed=number == 0)
    assert given == pytest.approx(2 * 30 + 8 * 5, abs=5)
    assert taken.dropped == 0


def test_places_of_the_highest_rate_are_capped_one_by_one(tmp_path: Path) -> None:
    slow = PlaceConfig(name=SHELF, region=(0.5, 0, 0.5, 1), max_fps=5)
    with Rig(tmp_path, places=(PLACES[0], slow, PLACES[2])) as rig:
        rig.wait_for_more(60, (GATE, YARD))
        seen = len(rig.of(SHELF))
        gate = rig.of(GATE)
        seconds = (gate[-1].captured_ns - gate[0].captured_ns) / NS_PER_S
    assert seen <= 5 * seconds + 2
    assert seen >= 1


def test_a_region_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    with Rig(tmp_path, buttons=BUTTONS) as rig:
        rig.wait_for_more()
        rig.press("green")
        rig.wait_for_labels(shelf="green")
        rig.scene.left, rig.scene.right = "green", "red"
        rig.wait_for_labels(shelf=None)
        rig.places[SHELF].view = View(Region(0, 0, 0.5, 1))
        rig.wait_for_labels(shelf="green")


def test_a_press_teaches_the_frame_of_its_own_place(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.wait_for_more()
        shelf = rig.places[SHELF]
        frame = shelf.recent.newer(-1, 30)
        assert frame is not None
        assert frame.image.shape == (32, 32, 3), "half of the picture"
        done: Future[list[Taught]] = Future()
        assert shelf.submit(Teach("green", frame, frame.time_ns, source="test", done=done))
        (taught,) = done.result(30)
        rig.wait_for_labels(shelf="green")
    assert (taught.place, taught.sequence) == (SHELF, frame.sequence)
    assert all(place.concerned_by(taught) is (name == SHELF) for name, place in rig.places.items())


def test_what_is_taught_concerns_the_whole_group(tmp_path: Path) -> None:
    with Rig(tmp_path, buttons=BUTTONS) as rig:
        rig.wait_for_more()
        taught = rig.press("blue")
        decided = rig.of(YARD)[-1]
    assert [name for name, place in rig.places.items() if place.concerned_by(taught)] == [GATE, YARD]
    assert [name for name, place in rig.places.items() if place.concerned_by(decided)] == [YARD]


def test_the_strictness_is_that_of_the_group(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.places[GATE].strictness = 0.9
        assert [place.strictness for place in rig.places.values()] == [0.9, 0.5, 0.9]
        assert [place.config.decision.strictness for place in rig.places.values()] == [0.9, 0.5, 0.9]
        rig.pipeline.reconfigure(quiet_config(decision=DecisionConfig(vote=3), cameras=(BACK,), places=PLACES))
        assert [place.config.decision.strictness for place in rig.places.values()] == [0.9, 0.5, 0.9]
        assert {place.config.decision.vote for place in rig.places.values()} == {3}


def test_every_place_has_its_turn_at_a_slow_encoder(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.wait_for_more(40)
        counts = [len(rig.of(name)) for name in rig.places]
        # no frame waits longer than one turn of the others, with the time of a busy machine for each
        turns = [event for event in rig.events if isinstance(event, Decided)][-90:]
    assert min(counts) >= 0.8 * max(counts)
    names = [event.place for event in turns]
    gaps = [names[first + 1 :].index(names[first]) for first in range(60)]
    assert max(gaps) <= 4
