"""Commands from buttons and clients are carried out in turn; a failure is shown, and decisions continue."""

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from edge_app.config import ButtonsConfig, StateConfig
from edge_app.datasets.pictures import decode_image
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError, StateNotWritable
from edge_app.learner import Learner
from edge_app.learner.replay import Trained
from edge_app.pipeline.commands import (
    MAX_WAITING,
    Command,
    CommandQueue,
    FollowImport,
    ForgetClass,
    ForgetExamples,
    MergeClasses,
    RelabelExamples,
    RenameClass,
    Teach,
    TeachableFrame,
    TeachPictures,
    Undo,
)
from edge_app.pipeline.decide import SharedIndicator
from edge_app.pipeline.events import Corrected, Event, Rejected, Taught
from edge_app.pipeline.gestures import ButtonWatch, Teaching
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.teaching import Teacher
from edge_app.simulation.devices import SimulatedButtons, SimulatedClock, SimulatedIndicator
from support.pipeline_parts import PatchEncoder, Reports, colour, embedding_of, frame, make_preprocess
from support.simple_network import SimpleNetwork, folder_in_memory, open_learner


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


class Rig:
    def __init__(self, learner: Learner, config: ButtonsConfig | None = None) -> None:
        self.clock, self.reports, self.recent = SimulatedClock(10 * NS_PER_S), Reports(), RecentFrames()
        self.encoder, self.commands, self.ended = PatchEncoder(), CommandQueue(), threading.Event()
        self.indicator = SimulatedIndicator(self.clock)
        self.references = ClassReferences()
        lights = SharedIndicator(self.indicator, self.references)
        self.learner = learner
        self.pressed = SimulatedButtons(("red", "blue", "undo"), self.clock)
        self.watch = ButtonWatch(
            self.pressed,
            config or ButtonsConfig(),
            {"": Teaching(self.recent, self.commands, self.references)},
            self.clock,
            lights,
            self.reports,
            self.ended,
        )
        self.events: list[Event] = []
        self.teacher = Teacher(
            self.commands,
            learner,
            make_preprocess(),
            self.encoder,
            {"": self.recent},
            self.clock,
            lights,
            self.reports,
            self.events.append,
            self.references,
            wall=lambda: 77,
        )

    def show(self, name: str, time_s: float, sequence: int) -> None:
        self.recent.add(frame(name, time_s, sequence))

    def settle(self) -> None:
        """Wait until all presses and commands have been carried out."""
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
    assert rig.commands.put(Teach(name, shown, shown.time_ns, source="test"))
    rig.teacher.step()


def test_undo_and_forget_are_exact_and_the_accuracy_follows(rig: Rig) -> None:
    for number, name in enumerate(("red", "blue", "red", "red")):
        teach(rig, name, number)
    assert rig.teacher.accuracy.classes()["red"].taught == 3
    rig.commands.put(Undo(source="button undo"))
    rig.teacher.step()
    assert rig.reports.last("undone") == {"examples": 1, "source": "button undo", "action": "teach"}
    assert rig.teacher.accuracy.classes()["red"].taught == 2
    rig.commands.put(ForgetClass("red", source="button red"))
    rig.settle()
    assert rig.reports.last("forgotten") == {"examples": 2, "source": "button red", "label": "red"}
    assert rig.learner.classes() == {"blue": 1}
    assert rig.learner.labels == ("blue",)
    assert list(rig.teacher.accuracy.classes()) == ["blue"]
    assert rig.blinks == ["learnt"] * 4 + ["undone"] * 2


def test_how_a_class_is_doing_is_known_again_at_the_next_start(rig: Rig, tmp_path: Path) -> None:
    for number, name in enumerate(("red", "blue", "red", "blue", "red", "red")):
        teach(rig, name, number)
    accuracies, asked = rig.teacher.accuracy.classes(), rig.learner.classify(rig.encoder.encode(colour("red", 0, 16)))
    assert (accuracies["red"].taught, accuracies["red"].predicted) == (4, 3)
    sure = rig.teacher.calibrator.confidence(asked)
    rig.learner.close()
    with open_learner(tmp_path) as learner:
        again = Rig(learner)
        assert again.teacher.accuracy.classes() == accuracies
        assert again.teacher.calibrator.confidence(asked) == sure
        again.commands.put(Undo(source="button undo"))
        again.teacher.step()
        assert again.teacher.accuracy.classes()["red"].taught == 3


def test_a_chord_adds_a_class_with_an_unused_name(rig: Rig) -> None:
    for number in range(2):
        shown = frame("red", 10 + number, number)
        rig.commands.put(Teach(None, shown, shown.time_ns, source="buttons red and blue"))
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
    for number in range(MAX_WAITING + 1):
        rig.pressed.press("red", at_ns=seconds(10) + number)
    rig.clock.advance(1)
    rig.settle()
    assert rig.reports.events.count("command_refused") == 1
    assert rig.reports.events.count("learnt") == MAX_WAITING


def test_a_rebuild_that_fails_in_the_background_is_told_once(rig: Rig) -> None:
    class Broken:
        labels, rebuilding, failure = (), True, RuntimeError("out of memory")

    teacher = rig.teacher
    teacher._learner = Broken()  # type: ignore[assignment]
    rig.commands.close()
    assert not teacher.step()
    assert not teacher.step()
    assert rig.reports.events == ["rebuild_failed"]


def test_a_press_that_is_worth_a_warning_has_it_and_is_learnt_all_the_same(rig: Rig) -> None:
    rig.show("red", 10.0, 3)
    for at, name in ((10.05, "red"), (10.15, "red"), (10.25, "undo")):
        rig.pressed.press(name, at_ns=seconds(at))
    rig.clock.advance(0.6)
    rig.settle()
    first, again, undone = rig.events
    assert isinstance(first, Taught)
    assert isinstance(again, Taught)
    assert isinstance(undone, Corrected)
    assert first.advice == ()
    assert [(one.kind, one.example, one.label) for one in again.advice] == [("same", 1, "red")]
    assert rig.reports.last("advice") == {"example": 2, "kind": "same", "text": again.advice[0].text}
    assert [one.example for one in rig.teacher.coach.most_similar(rig.learner.spike_counts_of(1))] == [1]


def test_several_at_once_are_remembered_without_warnings(rig: Rig) -> None:
    pictures = tuple(
        TeachableFrame(number, seconds(10), make_preprocess()(colour("red")).copy(), None) for number in (1, 2)
    )
    done: Future[list[Taught]] = Future()
    rig.commands.put(TeachPictures("red", pictures, seconds(10), source="page", done=done))
    rig.settle()
    assert [event.advice for event in done.result(0)] == [(), ()]
    assert len(rig.teacher.coach.most_similar(rig.learner.spike_counts_of(1))) == 2


def test_presses_become_events(rig: Rig) -> None:
    rig.show("red", 10.0, 3)
    rig.pressed.press("red", at_ns=seconds(10.05))
    rig.pressed.press("undo", at_ns=seconds(10.1))
    rig.pressed.press("undo", at_ns=seconds(10.2))
    rig.clock.advance(0.4)
    rig.settle()
    taught, corrected, rejected = rig.events
    assert taught == Taught(1, "red", None, 0.0, "button red", 3, 77)
    assert isinstance(corrected, Corrected)
    assert (corrected.kind, corrected.action.kind, corrected.source) == ("undone", "teach", "button undo")
    assert isinstance(rejected, Rejected)
    assert "nothing to undo" in rejected.reason


def pictures(*names: str) -> tuple[TeachableFrame, ...]:
    return tuple(
        TeachableFrame(7 + number, 0, make_preprocess()(colour(name, number)).copy(), None)
        for number, name in enumerate(names)
    )


def test_the_sender_of_a_command_gets_its_outcome_and_a_cancelled_one_is_not_carried_out(rig: Rig) -> None:
    done: Future[list[Taught]] = Future()
    gone: Future[list[Taught]] = Future()
    assert gone.cancel()
    rig.commands.put(TeachPictures("red", pictures("red"), 0, "0123456789abcdef", source="page", done=done))
    rig.commands.put(TeachPictures("x", pictures("red"), 0, source="", done=gone))
    rig.settle()
    assert done.result(0) == rig.events == [Taught(1, "red", None, 0.0, "page #0123456789abcdef", 7, 77)]
    (example,) = rig.learner.examples()
    assert (example.source, example.request) == ("page #0123456789abcdef", "0123456789abcdef")
    assert (rig.reports.last("learnt")["frame"], rig.teacher.learnt) == (7, 1)


def test_a_command_that_fails_tells_its_sender_and_everyone(rig: Rig) -> None:
    done: Future[object] = Future()
    rig.commands.put(Undo(source="page", done=done))
    assert rig.teacher.step()
    assert isinstance(done.exception(0), InputError)
    assert rig.events == [Rejected(str(done.exception(0)), "page", 77)]
    assert rig.blinks == ["error"]
    assert rig.teacher.step()


def test_a_mistake_in_the_program_is_given_to_the_sender_and_without_one_ends_the_stage(rig: Rig) -> None:
    rig.encoder.fails = ValueError("a mistake in the program")
    done: Future[object] = Future()
    rig.commands.put(TeachPictures("red", pictures("red"), 0, source="page", done=done))
    assert rig.teacher.step()
    assert done.exception(0) is rig.encoder.fails
    assert rig.events == []
    shown = frame("red", 10, 0)
    rig.commands.put(Teach("red", shown, shown.time_ns, source="button red"))
    with pytest.raises(ValueError, match="a mistake"):
        rig.teacher.step()


@pytest.mark.parametrize(
    ("command", "kind", "fields", "classes"),
    [
        (Undo(source="t"), "undone", {"examples": 1, "action": "teach"}, {"a": 2}),
        (Undo(3, source="t"), "undone", {"examples": 1, "action": "teach"}, {"a": 2}),
        (RelabelExamples((1,), "b", source="t"), "relabelled", {"examples": 1, "label": "b"}, {"b": 2, "a": 1}),
        (ForgetExamples((1, 2), source="t"), "forgotten", {"examples": 2}, {"b": 1}),
        (ForgetClass("a", source="t"), "forgotten", {"examples": 2, "label": "a"}, {"b": 1}),
        (RenameClass("a", "c", source="t"), "renamed", {"examples": 2, "label": "a", "to": "c"}, {"c": 2, "b": 1}),
        (MergeClasses("b", "a", source="t"), "merged", {"examples": 1, "label": "b", "into": "a"}, {"a": 3}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | dict) else "",
)
def test_every_correction_is_carried_out_logged_and_told(
    rig: Rig, command: Command, kind: str, fields: dict[str, object], classes: dict[str, int]
) -> None:
    for number, name in enumerate("aab"):
        shown = frame("red", 10 + number, number)
        rig.commands.put(Teach(name, shown, shown.time_ns, source="test"))
        rig.teacher.step()
    rig.commands.put(command)
    rig.settle()
    assert rig.learner.classes() == classes
    assert {label: found.taught for label, found in rig.teacher.accuracy.classes().items()} == classes
    assert rig.reports.last(kind) == {"source": "t"} | fields
    event = rig.events[-1]
    assert isinstance(event, Corrected)
    assert (event.kind, event.source, len(event.examples)) == (kind, "t", fields["examples"])


def test_a_button_teaches_its_class_by_the_new_name_and_by_the_old_one_after_undo(rig: Rig) -> None:
    def press(sequence: int) -> None:
        rig.show("red", 10.0 + sequence, sequence)
        rig.clock.advance(1)
        rig.pressed.press("red", at_ns=seconds(10.05 + sequence))
        rig.watch.step()
        rig.teacher.step()

    press(0)
    rig.commands.put(RenameClass("red", "crimson", source="page"))
    rig.teacher.step()
    press(1)
    assert rig.learner.classes() == {"crimson": 2}
    rig.commands.put(Undo(source="page"))
    rig.teacher.step()
    rig.commands.put(Undo(source="page"))
    rig.teacher.step()
    press(2)
    assert rig.learner.classes() == {"red": 2}


def test_while_the_network_is_rebuilt_a_new_class_gets_a_name_that_no_stored_class_has(rig: Rig) -> None:
    teach(rig, "red", 0)
    rig.learner.rename_class("red", "class 1", background=False)
    rig.learner._live.replace(Trained(SimpleNetwork()))  # a network from before the renaming
    shown = frame("blue", 12, 1)
    rig.commands.put(Teach(None, shown, shown.time_ns, source="buttons red and blue"))
    rig.teacher.step()
    assert list(rig.learner.classes()) == ["class 1", "class 2"]


def test_an_import_that_is_stored_is_followed_even_when_many_commands_wait(rig: Rig) -> None:
    teach(rig, "red", 0)
    action = rig.learner.history()[-1]
    while rig.commands.put(Undo(99, source="test")):
        pass
    assert rig.commands.put(FollowImport(action, source="page"))
    rig.settle()
    assert rig.events[-1] == Corrected("imported", action, "page", 77)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ENOMEM])
def test_an_error_of_the_system_is_shown_and_survived(rig: Rig, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fails(*_: object, **__: object) -> object:
        raise OSError(code, os.strerror(code))

    asked: Future[list[Taught]] = Future()
    shown = TeachableFrame(1, 0, make_preprocess()(colour("red", 0)), None)
    with monkeypatch.context() as patched:
        patched.setattr(rig.learner._snapshots, "files", fails)  # measured before anything is stored
        rig.commands.put(TeachPictures("red", (shown,), 0, source="API", done=asked))
        assert rig.teacher.step()
        patched.setattr(rig.learner, "undo", fails)
        rig.commands.put(Undo(source="button undo"))
        assert rig.teacher.step()
    with pytest.raises(StateNotWritable, match="what was stored before is unchanged"):
        asked.result(0)
    assert [type(event) for event in rig.events] == [Rejected, Rejected]
    assert rig.blinks == ["error", "error"]
    assert rig.learner.examples() == []
