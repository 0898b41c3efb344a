"""Visits are taught as one action, and the tray is a view of the unsure ones."""

import threading
from pathlib import Path

import pytest

from edge_app.config import HistoryConfig
from edge_app.control import Busy, HistoryOff, Rejected, RequestReused, Taught, VisitGone
from edge_app.control.history import KEPT
from edge_app.control.ids import MAX_IDS
from edge_app.errors import InputError, StateNotWritable
from support.device import Device
from support.simple_network import clean_replay, open_learner
from support.visits import record


def test_visits_are_taught_as_one_action(device: Device, tmp_path: Path) -> None:
    control = device.control
    control.teach("red")
    before = device.learner.network_state()
    ids = device.see(*(record(None, number) for number in range(3)))
    done = control.teach_visits(ids[::-1], "mug", request="r", source="API")
    assert control.teach_visits(ids, "mug", request="r") == done  # however they were picked
    assert [one.example for one in done] == [2, 3, 4]
    assert device.of(Taught)[-3:] == done
    assert [len(action.changes) for action in device.learner.history()] == [1, 3]
    assert {one.source for one in device.learner.examples("mug")} == {"API"}
    assert device.learner.examples()[2].before is not None  # tested, then trained, each of them
    assert device.learner.network_state() == clean_replay(tmp_path)
    store = control.history.store
    assert [store.visit(one)[-2:] for one in ids] == [("mug", 2), ("mug", 3), ("mug", 4)]
    assert control.history.tray() == []
    control.undo()
    device.learner.wait()
    assert [example.id for example in device.learner.examples()] == [1]
    assert device.learner.network_state() == before


def test_the_stored_frame_itself_is_taught(device: Device) -> None:
    one = record(None)
    (number,) = device.see(one)
    asked = device.encoder.asked
    (taught,) = device.control.teach_visits([number], "mug")
    assert device.learner.thumbnail(taught.example) == one.picture
    assert device.learner._store.embedding(taught.example) == one.embedding
    assert taught.sequence is None
    assert device.encoder.asked - asked < 100  # of the live frames alone; see below for the one that is encoded


def test_a_picture_without_an_embedding_of_this_encoder_is_encoded(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = record(None)
    (number,) = device.see(one)
    monkeypatch.setattr(device.visits, "embedding", lambda visit: None)
    (taught,) = device.control.teach_visits([number], "mug")
    assert device.learner._store.embedding(taught.example) == one.embedding


def test_a_visit_is_taught_once(device: Device) -> None:
    control = device.control
    first, second = device.see(record(None), record(None, 1))
    control.teach_visits([first], "mug", request="a")
    with pytest.raises(InputError, match=r"visit 1 was taught as mug: move its example, 1, .* Nothing was taught"):
        control.teach_visits([first, second], "pen", request="b")
    with pytest.raises(RequestReused):
        control.teach_visits([first], "pen", request="a")
    assert device.learner.classes() == {"mug": 1}


def test_a_visit_can_be_taught_again_as_soon_as_that_was_undone(device: Device) -> None:
    (number,) = device.see(record(None))
    device.control.teach_visits([number], "mug")
    device.control.undo()
    assert device.control.history.store.visit(number).taught == "mug"  # the recorder has not followed yet
    (again,) = device.control.teach_visits([number], "pen")
    assert device.control.history.store.visit(number)[-2:] == ("pen", again.example)


def test_two_clients_that_teach_the_same_visit_at_once_teach_it_once(device: Device) -> None:
    (number,) = device.see(record(None))
    done: list[object] = []

    def teach() -> None:
        try:
            done.append(device.control.teach_visits([number], "mug"))
        except InputError as error:
            done.append(error)

    threads = [threading.Thread(target=teach) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(isinstance(one, InputError) for one in done) == 3
    assert device.learner.classes() == {"mug": 1}


def test_what_cannot_be_taught_is_named_and_nothing_is(device: Device) -> None:
    control = device.control
    kept, unseen = device.see(record(None), record(None, 1)._replace(picture=None))
    with pytest.raises(VisitGone, match=f"visit {unseen} has no picture.* Nothing was taught"):
        control.teach_visits([kept, unseen], "mug")
    control.history.store.delete_one(unseen)
    with pytest.raises(VisitGone, match=f"no visit {unseen}: it was deleted.* Nothing was taught"):
        control.teach_visits([kept, unseen], "mug")
    for wrong in ([], list(range(1, MAX_IDS + 2))):
        with pytest.raises(InputError, match="expected 1 to 200"):
            control.teach_visits(wrong, "mug")
    with pytest.raises(InputError, match="class name"):
        control.teach_visits([kept], " mug")
    assert device.learner.classes() == {}


def room_for(device: Device, pages: int) -> None:
    """Limit SQLite's file to some more pages of 4 kB, as on a full disk; an example of these tests has about 1 kB."""
    with device.learner._writing:
        db = device.learner._store._db
        (used,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {used + pages}")


def test_a_disk_that_fills_up_half_way_teaches_none_and_a_retry_all(device: Device, tmp_path: Path) -> None:
    control = device.control
    control.teach("red")
    ids = device.see(*(record(None, number) for number in range(20)))
    before = device.learner.network_state(), control.history.tray(), control.classes()
    room_for(device, 1)
    with pytest.raises(StateNotWritable, match="the disk is full"):
        control.teach_visits(ids, "mug", request="r")
    assert (device.learner.network_state(), control.history.tray(), control.classes()) == before
    assert [one.label for one in device.of(Taught)] == ["red"]
    assert len(device.of(Rejected)) == 1
    room_for(device, 1000)
    assert len(control.teach_visits(ids, "mug", request="r")) == 20
    assert control.history.tray() == []
    assert device.learner.network_state() == clean_replay(tmp_path)


def test_a_history_that_cannot_be_written_does_not_undo_the_teaching(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (number,) = device.see(record(None))

    def full(*_: object) -> None:
        raise StateNotWritable("the disk is full")

    monkeypatch.setattr(device.visits, "taught", full)
    assert len(device.control.teach_visits([number], "mug")) == 1
    assert device.learner.classes() == {"mug": 1}
    assert "does not show that visits were taught: the disk is full" in caplog.text


def test_the_tray_is_the_newest_unsure_visits_with_a_picture(device: Device) -> None:
    history = device.control.history
    sure, unsure, unseen = device.see(
        record("mug"), record("mug", 1, mean_confidence=0.4), record(None, 2)._replace(picture=None)
    )
    assert [one.id for one in history.tray()] == [unsure]
    assert history.store.dismiss([sure, unsure, unseen]) == 2
    assert history.tray() == []
    ids = device.see(*(record(None, number) for number in range(3, 4 + KEPT)))
    assert [one.id for one in history.tray()] == ids[:0:-1]


def test_visits_without_pictures_do_not_hide_those_with_one(device: Device) -> None:
    kept, *_ = device.see(record(None), *(record(None, 1 + n)._replace(picture=None) for n in range(KEPT)))
    assert [one.id for one in device.control.history.tray()] == [kept]


def test_alike_visits_are_named_together(device: Device) -> None:
    red = device.see(*(record(None, number) for number in range(4)))
    blue = device.see(*(record(None, 10 + number, shows="blue") for number in range(2)))
    groups = device.control.history.groups()
    assert [sorted(one.visits) for one in groups] == [red, blue]
    done = device.control.teach_visits(groups[0].visits, "mug")
    assert [one.label for one in done] == ["mug"] * 4
    assert [sorted(one.visits) for one in device.control.history.groups()] == [blue]
    assert len(device.learner.history()) == 1


def test_without_a_history_it_is_said(tmp_path: Path) -> None:
    off = HistoryConfig(enabled=False)
    with open_learner(tmp_path) as learner, Device(tmp_path, learner, history=off) as device:
        with pytest.raises(HistoryOff, match=r"keeps no history: set enabled = true in \[history\]"):
            device.control.teach_visits([1], "mug")
        assert (device.control.status().history, device.control.history_revision) == ("off", 0)


def test_a_database_that_is_not_open_is_busy(device: Device) -> None:
    store, device.visits = device.visits, None
    with pytest.raises(Busy, match="cannot be opened now"):
        device.control.history.tray()
    assert device.control.history_revision == 0
    device.visits = store


def test_every_change_is_seen_in_the_revision(device: Device) -> None:
    revisions = [device.control.history_revision]
    for change in (
        lambda: device.see(record(None)),
        lambda: device.control.teach_visits([1], "mug"),
        lambda: device.control.history.store.delete_one(1),
    ):
        change()
        revisions.append(device.control.history_revision)
    assert revisions == sorted(set(revisions))
