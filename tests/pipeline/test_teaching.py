"""Presses teach the frame that was shown at the press; what cannot be done is seen, and decisions go on."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from parts import PatchEncoder, Reports, colour, embedding_of, frame, make_preprocess
from simple_network import folder_in_memory, open_learner

from edge_app.config import StateConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.encoder.preprocess import decode_image
from edge_app.errors import InputError
from edge_app.learner import Learner
from edge_app.pipeline.decide import SharedIndicator
from edge_app.pipeline.deeds import Correction, Deed, Errand, Lesson, Refusal
from edge_app.pipeline.gestures import ButtonMapping, Forget, Teach, Undo
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.teaching import WAITING, ButtonWatch, CommandQueue, Teacher
from edge_app.simulation.devices import SimulatedButtons, SimulatedClock, SimulatedIndicator


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


class Rig:
    def __init__(self, learner: Learner, meaning: ButtonMapping | None = None) -> None:
        self.clock, self.reports, self.recent = SimulatedClock(10 * NS_PER_S), Reports(), RecentFrames()
        self.encoder, self.commands, self.ended = PatchEncoder(), CommandQueue(), threading.Event()
        self.indicator = SimulatedIndicator(self.clock)
        lights = SharedIndicator(self.indicator)
        self.learner = learner
        self.pressed = SimulatedButtons(("red", "blue", "undo"), self.clock)
        self.watch = ButtonWatch(
            self.pressed,
            meaning or ButtonMapping({}),
            self.recent,
            self.commands,
            self.clock,
            lights,
            self.reports,
            self.ended,
        )
        self.deeds: list[Deed] = []
        self.teacher = Teacher(
            self.commands,
            learner,
            make_preprocess(),
            self.encoder,
            self.recent,
            self.clock,
            lights,
            self.reports,
            self.deeds.append,
        )

    def show(self, name: str, time_s: float, sequence: int) -> None:
        self.recent.add(frame(name, time_s, sequence))

    def settle(self) -> None:
        """Let presses and commands be carried out to the last."""
        self.ended.set()
        while self.watch.step():
            pass
        while self.teacher.step():
            pass
        self.learner.wait()

    @property
    def blinks(self) -> list[str]:
        return [signal for _, signal in self.indicator.blinks]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with open_learner(tmp_path) as learner:
        yield Rig(learner)


def seconds(time_s: float) -> int:
    return round(time_s * NS_PER_S)


def test_the_frame_shown_at_the_press_is_taught_not_a_later_one(rig: Rig) -> None:
    rig.show("red", 10.0, 0)
    rig.show("blue", 10.1, 1)
    rig.pressed.press("red", at_ns=seconds(10.05))
    rig.clock.advance(0.2)
    rig.settle()
    assert rig.blinks == ["learnt"]
    told = rig.reports.last("learnt")
    assert (told["label"], told["frame"], told["example"], told["before"]) == ("red", 0, 1, None)
    assert told["frame_age_ms"] == pytest.approx(50)
    assert told["ms"] == pytest.approx(150)
    (example,) = rig.learner.examples()
    assert (example.label, example.source) == ("red", "button red")
    thumbnail = decode_image(rig.learner.thumbnail(1))
    assert thumbnail.shape == (16, 16, 3)
    assert np.abs(thumbnail.astype(int) - make_preprocess()(colour("red", 0))).mean() < 12


def test_an_embedding_that_was_made_already_is_taught(rig: Rig) -> None:
    rig.show("red", 10.0, 0)
    rig.recent.add_embedding(seconds(10), embedding_of(make_preprocess()(colour("red", 0))))
    rig.pressed.press("red", at_ns=seconds(10.05))
    rig.clock.advance(0.2)
    rig.settle()
    assert rig.encoder.asked == 0
    assert rig.reports.events == ["learnt"]


def test_a_press_without_a_frame_teaches_nothing_and_is_seen(rig: Rig) -> None:
    rig.show("red", 7.0, 0)
    rig.pressed.press("red")
    rig.settle()
    assert rig.blinks == ["error"]
    assert "no frame was shown within 2 s" in str(rig.reports.last("command_failed")["reason"])
    assert rig.learner.examples() == []


def test_a_press_whose_frame_is_gone_is_refused_for_what_it_is(rig: Rig) -> None:
    for number in range(10):
        rig.show("red", 10 + number / 10, number)
    rig.pressed.press("red", at_ns=seconds(10.05))
    rig.clock.advance(1)
    rig.settle()
    assert rig.blinks == ["error"]
    reason = str(rig.reports.last("command_failed")["reason"])
    assert "is not kept any more: the press was looked up 850 ms later" in reason
    assert reason.endswith("Nothing was taught")


def teach(rig: Rig, name: str, sequence: int) -> None:
    shown = frame(name, 10 + sequence / 10, sequence)
    assert rig.commands.put(Teach(name, shown.time_ns, "test", shown))
    rig.teacher.step()


def test_undo_and_forget_are_exact_and_the_standing_follows(rig: Rig) -> None:
    for number, name in enumerate(("red", "blue", "red", "red")):
        teach(rig, name, number)
    assert rig.teacher.progress.standings()["red"].taught == 3
    rig.commands.put(Undo(seconds(12), "button undo"))
    rig.teacher.step()
    assert rig.reports.last("undone") == {"examples": 1, "source": "button undo", "action": "teach"}
    assert rig.teacher.progress.standings()["red"].taught == 2
    rig.commands.put(Forget("red", seconds(13), "button red"))
    rig.settle()
    assert rig.reports.last("forgotten") == {"examples": 2, "source": "button red", "label": "red"}
    assert rig.learner.classes() == {"blue": 1}
    assert rig.learner.labels == ("blue",)
    assert list(rig.teacher.progress.standings()) == ["blue"]
    assert rig.blinks == ["learnt"] * 4 + ["undone"] * 2


def test_how_a_class_is_doing_is_known_again_at_the_next_start(rig: Rig, tmp_path: Path) -> None:
    for number, name in enumerate(("red", "blue", "red", "blue", "red", "red")):
        teach(rig, name, number)
    standings, asked = rig.teacher.progress.standings(), rig.learner.classify(rig.encoder.encode(colour("red", 0, 16)))
    assert (standings["red"].taught, standings["red"].predicted) == (4, 3)
    sure = rig.teacher.assurance.confidence(asked)
    rig.learner.close()
    with open_learner(tmp_path) as learner:
        again = Rig(learner)
        assert again.teacher.progress.standings() == standings
        assert again.teacher.assurance.confidence(asked) == sure
        again.commands.put(Undo(seconds(12), "button undo"))
        again.teacher.step()
        assert again.teacher.progress.standings()["red"].taught == 3


def test_a_chord_adds_a_class_with_an_unused_name(rig: Rig) -> None:
    for number in range(2):
        shown = frame("red", 10 + number, number)
        rig.commands.put(Teach(None, shown.time_ns, "buttons red and blue", shown))
        rig.teacher.step()
    assert rig.learner.labels == ("class 1", "class 2")


def test_nothing_to_undo_is_an_error_that_is_seen(rig: Rig) -> None:
    rig.pressed.press("undo")
    rig.settle()
    assert rig.blinks == ["error"]
    assert "nothing to undo" in str(rig.reports.last("command_failed")["reason"])


def test_a_full_folder_refuses_and_the_device_goes_on(tmp_path: Path) -> None:
    with open_learner(tmp_path, limits=StateConfig(examples_per_class=1)) as learner:
        rig = Rig(learner)
        for number, name in enumerate(("red", "red", "blue")):
            teach(rig, name, number)
        assert rig.reports.events == ["learnt", "command_failed", "learnt"]
        assert "'red' is full" in str(rig.reports.told[1].fields["reason"])
        assert rig.blinks == ["learnt", "error", "learnt"]


def test_too_many_commands_are_refused_and_seen(rig: Rig) -> None:
    rig.show("red", 10.0, 0)
    for number in range(WAITING + 1):
        rig.pressed.press("red", at_ns=seconds(10) + number)
    rig.clock.advance(1)
    rig.settle()
    assert rig.reports.events.count("command_refused") == 1
    assert rig.reports.events.count("learnt") == WAITING


def test_a_rebuild_that_fails_in_the_background_is_told_once(rig: Rig) -> None:
    class Broken:
        labels, rebuilding, failure = (), True, RuntimeError("out of memory")

    teacher = rig.teacher
    teacher._learner = Broken()  # type: ignore[assignment]
    rig.commands.close()
    assert not teacher.step()
    assert not teacher.step()
    assert rig.reports.events == ["rebuild_failed"]


def test_presses_are_told_of_as_deeds(rig: Rig) -> None:
    rig.show("red", 10.0, 3)
    rig.pressed.press("red", at_ns=seconds(10.05))
    rig.pressed.press("undo", at_ns=seconds(10.1))
    rig.pressed.press("undo", at_ns=seconds(10.2))
    rig.clock.advance(0.4)
    rig.settle()
    lesson, correction, refusal = rig.deeds
    assert lesson == Lesson(1, "red", None, 0.0, "button red", 3)
    assert isinstance(correction, Correction)
    assert (correction.kind, correction.action.kind, correction.source) == ("undone", "teach", "button undo")
    assert isinstance(refusal, Refusal)
    assert "nothing to undo" in refusal.reason


def test_an_errand_is_carried_out_in_turn_and_its_outcome_told(rig: Rig) -> None:
    picture = make_preprocess()(colour("red", 0)).copy()
    done: Future[Lesson] = Future()
    gone: Future[object] = Future()
    assert gone.cancel()
    rig.commands.put(
        Errand(lambda teacher: teacher.teach("red", picture, None, source="page", sequence=7, asked_ns=0), done, "page")
    )
    rig.commands.put(
        Errand(lambda teacher: teacher.teach("x", picture, None, source="", sequence=7, asked_ns=0), gone, "")
    )
    rig.settle()
    assert done.result(0) == rig.deeds[0] == Lesson(1, "red", None, 0.0, "page", 7)
    assert len(rig.learner.examples()) == 1
    assert (rig.reports.last("learnt")["frame"], rig.teacher.learnt) == (7, 1)


@pytest.mark.parametrize("error", [InputError("no such thing"), ValueError("a mistake in the program")])
def test_an_errand_that_fails_tells_who_waits_and_the_teacher_goes_on(rig: Rig, error: Exception) -> None:
    done: Future[object] = Future()

    def work(_: Teacher) -> object:
        raise error

    rig.commands.put(Errand(work, done, "page"))
    assert rig.teacher.step()
    assert done.exception(0) is error
    assert (rig.deeds == [Refusal("no such thing", "page")]) is isinstance(error, InputError)
    assert rig.teacher.step()
