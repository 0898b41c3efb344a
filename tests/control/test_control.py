"""A client's request is carried out once, on the frame that was shown, and all listeners are told."""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.config import StateConfig
from edge_app.control import Busy, Corrected, FrameGone, Health, Rejected, RequestReused, Taught
from edge_app.control.transfer import export_examples
from edge_app.datasets.pictures import decode_image
from edge_app.errors import InputError, StateNotWritable, UnknownLabel
from edge_app.pipeline.commands import MAX_WAITING, ForgetExamples
from edge_app.simulation.devices import Fault
from edge_app.storage.records import Action
from support.device import Device
from support.pipeline_parts import embedding_of
from support.simple_network import SimpleFactory, SimpleNetwork, clean_replay, embedding, open_learner


def test_the_status_says_how_things_are(device: Device) -> None:
    status = device.control.status()
    assert (status.camera, status.classes, status.learnt, status.rebuilding) == ("good", (), 0, False)
    assert status.health == (True, ())
    assert status.last_decision is not None
    assert status.last_decision.sequence >= 0
    assert status.uptime_s > 0
    assert status.decided >= 3


def test_the_picture_that_was_seen_is_taught_however_late_the_word_comes(device: Device) -> None:
    seen = device.control.picture()
    number = seen.sequence
    device.wait_for(lambda events: events[-1].sequence > number + 60)  # more than the loop itself keeps
    taught = device.control.teach("thing", frame=number)
    assert (taught.label, taught.before, taught.sequence, taught.source) == ("thing", None, number, "page")
    thumbnail = decode_image(device.learner.thumbnail(taught.example))
    shown = decode_image(seen.jpeg)[8:24, 8:24]
    assert np.abs(thumbnail.mean(axis=(0, 1)) - shown.mean(axis=(0, 1))).max() < 12
    with pytest.raises(FrameGone, match="not kept any more"):
        device.control.teach("thing", frame=number + 10**9)
    assert len(device.learner.examples()) == 1


def test_a_heat_map_is_of_the_frame_that_was_seen(device: Device) -> None:
    with pytest.raises(InputError, match="no class was taught"):
        device.control.heat_map()
    device.control.teach("red")
    number = device.control.picture().sequence
    sequence, ahead = device.control.heat_map(frame=number)
    assert (sequence, ahead.label, ahead.cells.shape) == (number, "red", (4, 4))
    again, asked = device.control.heat_map("red", frame=number)
    assert again == number
    np.testing.assert_array_equal(asked.cells, ahead.cells)
    seen = device.control._pictures.find(number)
    evidence = device.learner.evidence(embedding_of(seen.picture), "red")
    assert ahead.cells.sum() == pytest.approx(evidence.drive.sum())
    assert ahead.cells.sum() > 0
    with pytest.raises(UnknownLabel):
        device.control.heat_map("blue")
    with pytest.raises(FrameGone):
        device.control.heat_map(frame=10**9)


def test_an_encoder_that_gives_no_map_is_named(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner, Device(tmp_path, learner, gives_map=False) as device:
        device.wait_for(lambda events: len(events) > 0)
        with pytest.raises(InputError, match="encoder patches does not output its last map"):
            device.control.heat_map()


def test_a_frame_that_someone_was_told_of_can_be_taught(device: Device) -> None:
    answer = device.control.status().last_decision
    assert answer is not None
    device.control.keep(answer.sequence)
    device.wait_for(lambda events: events[-1].sequence > answer.sequence + 60)
    assert device.control.teach("thing", frame=answer.sequence).sequence == answer.sequence


def test_a_retry_teaches_nothing_more_and_gets_the_same_answer(device: Device, tmp_path: Path) -> None:
    first = device.control.teach("red", request="abc")
    assert device.control.teach("red", request="abc") == first
    assert device.control.teach("red", request="other").example == 2
    with pytest.raises(RequestReused, match="came before"):
        device.control.teach("blue", request="abc")
    assert [example.label for example in device.learner.examples()] == ["red", "red"]


def test_two_that_ask_at_once_are_one_request(device: Device) -> None:
    done: list[Taught] = []
    threads = [threading.Thread(target=lambda: done.append(device.control.teach("x", request="r"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 8
    assert len(set(done)) == len(device.learner.examples()) == 1


def test_a_retry_after_a_restart_is_known_by_its_example(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner, Device(tmp_path, learner) as device:
        first = device.control.teach("red", request="abc")
    with open_learner(tmp_path) as learner, Device(tmp_path, learner) as device:
        again = device.control.teach("red", request="abc")
        assert (again.example, again.label) == (first.example, "red")
        assert len(learner.examples()) == 1


@pytest.mark.parametrize("change", ["rename", "merge", "relabel"])
def test_a_retry_after_a_correction_and_a_restart_has_its_first_answer(tmp_path: Path, change: str) -> None:
    with open_learner(tmp_path) as learner, Device(tmp_path, learner) as device:
        first = device.control.teach("red", request="abc")
        device.control.teach("blue")
        if change == "rename":
            device.control.rename_class("red", "crimson")
        elif change == "merge":
            device.control.merge_classes("red", "blue")
        else:
            device.control.relabel([first.example], "blue")
    with open_learner(tmp_path) as learner, Device(tmp_path, learner) as device:
        again = device.control.teach("red", request="abc")
        assert (again.example, again.label) == (first.example, "red")
        assert len(learner.examples()) == 2
        with pytest.raises(RequestReused):
            device.control.teach("crimson", request="abc")


def test_a_request_that_failed_can_be_tried_again(device: Device) -> None:
    with pytest.raises(FrameGone):
        device.control.teach("red", frame=10**9, request="abc")
    assert device.control.teach("red", request="abc").example == 1


def test_everyone_is_told_what_was_done(device: Device) -> None:
    device.control.teach("red", source="bus")
    device.control.undo(source="page")
    with pytest.raises(InputError, match="nothing to undo"):
        device.control.undo()
    (taught,), (corrected,), (refused,) = (device.of(kind) for kind in (Taught, Corrected, Rejected))
    assert (taught.label, taught.example, taught.source) == ("red", 1, "bus")
    assert (corrected.kind, corrected.labels, corrected.examples) == ("undone", ("red",), (1,))
    assert "nothing to undo" in refused.reason
    assert all(isinstance(event.time_ns, int) for event in device.events)
    device.wait_for(lambda events: any(isinstance(event, Health) and event.what == "rebuilt" for event in events))


def test_undo_of_a_named_action_never_takes_another_back(device: Device) -> None:
    device.control.teach("red")
    device.control.teach("blue")
    last = device.learner.history()[-1]
    assert device.control.undo(action=last.id) == last
    with pytest.raises(InputError, match="cannot be taken back now"):
        device.control.undo(action=last.id)
    assert device.control.undo(action=device.learner.history()[-1].id, request="k").kind == "teach"
    assert device.learner.examples() == []


def test_corrections_of_many_are_one_action(device: Device, tmp_path: Path) -> None:
    control = device.control
    for label in ("red", "red", "blue", "green"):
        control.teach(label)
    assert control.relabel([1, 3, 3], "green").kind == "relabel"
    assert device.learner.classes() == {"green": 3, "red": 1}
    control.forget_examples([1, 2])
    assert device.learner.classes() == {"green": 2}
    control.undo()
    control.rename_class("green", "leaf")
    control.merge_classes("red", "leaf")
    assert device.learner.classes() == {"leaf": 4}
    control.forget_class("leaf")
    assert control.classes() == []
    for wrong in (lambda: control.relabel([99], "x"), lambda: control.forget_examples([])):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(UnknownLabel):
        control.rename_class("nothing", "x")
    with pytest.raises(InputError, match="class name"):
        control.teach(" red")


def test_class_reports_say_what_is_confused_and_what_to_show(device: Device) -> None:
    control = device.control
    control.teach("red")
    assert control.classes()[0].advice.startswith("Teach a second thing")
    frame = control.picture().sequence
    control.teach("thing", frame=frame)
    control.teach("thing", frame=frame)
    control.teach("red", frame=frame)
    reports = {report.label: report for report in control.classes()}
    assert reports["red"].confused_with == (("thing", 1),)
    assert "taken for thing" in reports["red"].advice
    assert (reports["thing"].accuracy.taught, reports["thing"].accuracy.predicted) == (2, 1)
    control.undo()
    assert {report.label: report.confused_with for report in control.classes()}["red"] == ()


def test_examples_come_newest_first_in_pages(device: Device) -> None:
    for label in ("red", "blue", "red"):
        device.control.teach(label)
    found, total = device.control.examples(None, 1, 1)
    assert ([example.id for example in found], total) == ([2], 3)
    assert device.control.examples("red")[1] == 2
    assert device.control.thumbnail(1)
    assert device.learner.example(1).before.label is None


def test_export_and_import_carry_classes(device: Device, tmp_path: Path) -> None:
    for label in ("red", "blue", "red"):
        device.control.teach(label)
    file = io.BytesIO()
    assert device.control.export(["red"], file) == 2
    path = tmp_path / "red.zip"
    path.write_bytes(file.getvalue())
    device.control.forget_class("red")
    seen: list[tuple[int, int]] = []
    done = device.control.import_(path, lambda *now: seen.append(now))
    assert (done.added, done.skipped, seen[-1]) == (2, 0, (2, 2))
    assert device.control.import_(path)[:2] == (0, 2)
    assert device.of(Corrected)[-1].kind == "imported"
    with pytest.raises(UnknownLabel):
        device.control.export(["nothing"], io.BytesIO())


class HeldNetwork(SimpleNetwork):
    """A network that waits in the middle of a replay until the test lets it continue."""

    reached, go_on = threading.Event(), threading.Event()

    def learn_many(self, counts: NDArray[np.uint8], labels: Sequence[str]) -> None:
        super().learn_many(counts, labels)
        if len(self.labels) == 4:
            self.reached.set()
            assert self.go_on.wait(30)


class HeldFactory(SimpleFactory):
    """Makes HeldNetworks."""

    def new(self) -> SimpleNetwork:
        return HeldNetwork()


def test_while_an_import_is_learnt_the_device_goes_on_and_tells_how_far_it_is(tmp_path: Path) -> None:
    with open_learner(tmp_path / "from") as learner:
        for i in range(600):
            learner.teach(embedding(i, i % 3), "red" if i < 300 else f"thing {i % 3}", source="test")
        file = tmp_path / "all.zip"
        with file.open("wb") as target:
            export_examples(tmp_path / "from", [], target)
    folder = tmp_path / "to"
    with open_learner(folder, factory=HeldFactory()) as learner, Device(folder, learner) as device:
        done = device.control.import_(file)
        assert (done.added, done.skipped) == (600, 0)
        assert HeldNetwork.reached.wait(30)
        status = device.control.status()
        assert (status.rebuilding, status.rebuild_progress) == (True, (256, 600))
        assert device.control.teach("blue").example == 601  # would wait for ever
        HeldNetwork.go_on.set()
        learner.wait()
        status = device.control.status()
        assert (status.rebuilding, status.rebuild_progress) == (False, None)
        assert [event.what for event in device.of(Health)][:1] == ["rebuilding"]
        assert learner.network_state() == clean_replay(folder)
        device.control.undo()
        device.control.undo()
        assert learner.examples() == []


def test_what_the_disk_refuses_is_said(tmp_path: Path) -> None:
    limits = StateConfig(examples_per_class=1)
    with open_learner(tmp_path, limits=limits) as learner, Device(tmp_path, learner) as device:
        device.control.teach("red")
        with pytest.raises(StateNotWritable, match="class 'red' is full"):
            device.control.teach("red", request="r")
        assert isinstance(device.of(Rejected)[0], Rejected)
    assert clean_replay(tmp_path)


def test_too_many_commands_at_once_are_refused(device: Device) -> None:
    hold, entered = threading.Event(), threading.Event()
    forget = device.learner.forget_examples

    def slow(examples: Sequence[int], *, background: bool = False) -> Action:
        entered.set()
        assert hold.wait(30)
        return forget(examples, background=background)

    device.learner.forget_examples = slow  # type: ignore[method-assign]
    futures: list[Future[object]] = [Future() for _ in range(MAX_WAITING + 1)]
    assert device.place.submit(ForgetExamples((1,), source="test", done=futures[0]))
    assert entered.wait(30)
    for done in futures[1:]:
        assert device.place.submit(ForgetExamples((1,), source="test", done=done))
    with pytest.raises(Busy, match="too many commands wait"):
        device.control.undo()
    hold.set()
    assert isinstance(futures[-1].exception(30), InputError)


def test_without_a_camera_nothing_is_taught_and_health_says_why(tmp_path: Path) -> None:
    with (
        open_learner(tmp_path) as learner,
        Device(tmp_path, learner, Fault("unplug", 0.3, float("inf"))) as device,
    ):
        device.wait_for(lambda events: any(isinstance(event, Health) for event in events))
        event = device.of(Health)[0]
        assert event.what in ("camera_fault", "camera_absent")
        condition = device.control.status().health
        assert (condition.ok, "opened again" in condition.reasons[0]) == (False, True)


def test_two_equal_frames_are_no_illness_and_a_dark_lens_is(tmp_path: Path) -> None:
    black = Fault("black", 0.3, float("inf"))
    with open_learner(tmp_path) as learner, Device(tmp_path, learner, black) as device:
        device.wait_for(lambda _: device.control.status().camera == "black")
        assert device.control.status().health.ok
        device.wait_for(lambda _: not device.control.status().health.ok)
        assert "black" in device.control.status().health.reasons[0]
