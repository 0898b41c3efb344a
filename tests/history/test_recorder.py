"""The recorder: batches, pictures of the best moment, clocks that are set, disks that fail; without its thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.config import HistoryConfig
from edge_app.datasets.pictures import decode_thumbnail
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S
from edge_app.history.database import aside_path
from edge_app.history.frames import MOST_BYTES, GrabbedFrame, RecentFrameFinder, to_bounded_jpeg
from edge_app.history.recorder import FREE_BYTES, MOST_PICTURES, HistoryRecorder, RecordedPlace, Surroundings
from edge_app.history.records import ClockState, StoredVisit
from edge_app.history.store import HistoryStore
from edge_app.history.visits import VisitTracker
from edge_app.pipeline.events import Corrected
from edge_app.pipeline.recent import RecentFrames
from edge_app.simulation.devices import SimulatedClock
from edge_app.storage.records import Action, ExampleChange
from support.pipeline_parts import Reports, embedding_of, frame, make_preprocess
from support.visits import WALL_NS, shown

DAY_NS = 86_400 * NS_PER_S


class Rig:
    """A recorder on a simulated clock, fed with ten decisions per second."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.path = folder / "history.sqlite"
        self.clock, self.recent, self.reports = SimulatedClock(), RecentFrames(), Reports()
        self.offset_ns, self.synchronised, self.free, self.busy = WALL_NS, False, 1 << 40, False
        self.at = 10
        self.recorder = self.make(**options)

    def make(self, **options: object) -> HistoryRecorder:
        return HistoryRecorder(
            self.path,
            HistoryConfig(**options),  # type: ignore[arg-type]
            [
                RecordedPlace(
                    VisitTracker("camera", gap_ns=5 * NS_PER_S), RecentFrameFinder(self.recent, make_preprocess())
                )
            ],
            self.clock,
            self.reports,
            Surroundings(
                busy=lambda: self.busy,
                wall=lambda: self.clock.monotonic_ns() + self.offset_ns,
                synchronised=lambda: self.synchronised,
                free_bytes=lambda folder: self.free,
            ),
        )

    def see(self, label: str | None, seconds: float, confidence: float = 0.9, colour: str = "red") -> None:
        for _ in range(round(10 * seconds)):
            self.at += 1
            self.clock.advance(self.at / 10 - self.clock.monotonic_ns() / NS_PER_S)
            event = shown(label, self.at / 10, confidence)
            taken = frame(colour, self.at / 10, event.sequence)
            self.recent.add(taken)
            self.recent.add_embedding(taken.time_ns, embedding_of(make_preprocess()(taken.image)))
            self.recorder.listen(event)
            self.recorder.step()

    @property
    def store(self) -> HistoryStore:
        assert self.recorder.store is not None
        return self.recorder.store

    def visits(self) -> list[StoredVisit]:
        """As another process sees them, the oldest first."""
        with HistoryStore.reader(self.path) as reader:
            return reader.page().visits[::-1]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.recorder.close()


def test_visits_are_stored_soon_after_they_begin_and_end(rig: Rig) -> None:
    rig.see("mug", 1)
    assert rig.visits() == []
    rig.see("mug", 2)
    (mug,) = rig.visits()
    assert (mug.label, mug.open, mug.begin_ns, mug.picture) == ("mug", True, WALL_NS + round(1.1 * NS_PER_S), True)
    rig.see("pen", 3)
    mug, pen = rig.visits()
    assert (mug.open, mug.duration_ns, mug.frames, pen.label, pen.open) == (
        False,
        round(2.9 * NS_PER_S),
        30,
        "pen",
        True,
    )


def test_a_visit_that_lasts_is_stored_again_every_ten_seconds(rig: Rig) -> None:
    rig.see("mug", 600)
    (mug,) = rig.visits()
    assert mug.open
    assert 0 <= 600 - mug.duration_ns / NS_PER_S < 11


def test_the_end_stores_what_was_going_on(rig: Rig) -> None:
    rig.see("mug", 1.5)
    rig.recorder.close()
    (mug,) = rig.visits()
    assert (mug.open, mug.duration_ns, mug.picture) == (False, round(1.4 * NS_PER_S), True)


def test_the_picture_and_the_embedding_are_those_of_the_best_moment(rig: Rig) -> None:
    rig.see("mug", 1, 0.7, "red")
    rig.see("mug", 1, 0.95, "green")
    rig.see("mug", 8, 0.8, "blue")
    rig.see("pen", 3)
    mug, _ = rig.visits()
    store = rig.store
    jpeg, embedding = store.picture(mug.id), store.embedding(mug.id)
    assert jpeg is not None
    assert embedding is not None
    assert decode_thumbnail(jpeg).mean(axis=(0, 1)).argmax() == 1, "green"
    assert np.frombuffer(embedding, np.uint8)[:30].reshape(10, 3).mean(axis=0).argmax() == 1


def test_the_visits_of_several_places_are_recorded_side_by_side(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.recorder.close()
    finder = RecentFrameFinder(rig.recent, make_preprocess())
    gate, shelf = (RecordedPlace(VisitTracker(name, gap_ns=5 * NS_PER_S), finder) for name in ("gate", "shelf"))
    with HistoryRecorder(rig.path, HistoryConfig(), [gate, shelf], rig.clock, rig.reports) as recorder:
        for tenth in range(100):
            rig.clock.advance(0.1)
            now_s = rig.clock.monotonic_ns() / NS_PER_S
            # the mug is at the gate throughout, the pen on the shelf for the second half
            for place, label in (("gate", "mug"), ("shelf", None if tenth < 50 else "pen")):
                taken = frame("red", now_s, tenth)
                rig.recent.add(taken)
                rig.recent.add_embedding(taken.time_ns, embedding_of(make_preprocess()(taken.image)))
                event = shown(label, now_s, 0.9)._replace(sequence=tenth, captured_ns=taken.time_ns, place=place)
                recorder.listen(event)
                recorder.step()
    found = [(one.place, one.label, one.frames, one.open, one.picture) for one in rig.visits()]
    assert sorted(found, key=str) == [
        ("gate", "mug", 100, False, True),
        ("shelf", "pen", 50, False, True),
        ("shelf", None, 50, False, True),
    ]


def test_without_pictures_none_is_looked_up_or_stored(tmp_path: Path) -> None:
    rig = Rig(tmp_path, pictures=False)
    rig.see("mug", 5)
    rig.recorder.close()
    (mug,) = rig.visits()
    assert not mug.picture
    assert rig.recorder._places["camera"].moments == {}


def test_a_gap_ends_the_visit_without_a_further_decision(rig: Rig) -> None:
    rig.see("mug", 2)
    rig.clock.advance(6)
    rig.recorder.step()
    rig.clock.advance(3)
    rig.recorder.step()
    (mug,) = rig.visits()
    assert (mug.open, mug.duration_ns) == (False, round(1.9 * NS_PER_S))


def test_a_batch_waits_while_commands_wait_but_not_for_ever(rig: Rig) -> None:
    rig.busy = True
    rig.see("mug", 4)
    assert rig.visits() == []
    rig.see("mug", 2)
    assert len(rig.visits()) == 1


def test_a_clock_that_is_set_corrects_what_this_run_has_stored(rig: Rig) -> None:
    rig.offset_ns = 0
    rig.see("mug", 5)
    rig.see("pen", 5)
    assert rig.visits()[0].begin_ns < DAY_NS
    rig.offset_ns, rig.synchronised = WALL_NS, True
    rig.see("pen", 11)
    mug, pen = rig.visits()
    assert mug.begin_ns == WALL_NS + round(1.1 * NS_PER_S)
    assert pen.begin_ns == mug.begin_ns + 5 * NS_PER_S
    assert {mug.clock, pen.clock} == {ClockState.SYNCHRONISED}
    assert pen.duration_ns > 12 * NS_PER_S


def test_a_synchronised_clock_that_is_set_back_by_a_day_moves_later_visits_only(rig: Rig) -> None:
    rig.synchronised = True
    rig.see("mug", 5)
    rig.see("pen", 5)
    rig.offset_ns -= DAY_NS
    rig.see("mug", 5)
    rig.recorder.close()
    found = {one.begin_ns: one for one in rig.visits()}
    assert sorted(found) == [
        WALL_NS + round(11.1 * NS_PER_S) - DAY_NS,
        WALL_NS + round(1.1 * NS_PER_S),
        WALL_NS + round(6.1 * NS_PER_S),
    ]
    assert all(one.duration_ns == round(4.9 * NS_PER_S) for one in found.values())


def test_a_clock_behind_the_last_run_is_doubtful_and_deletes_nothing(rig: Rig) -> None:
    rig.see("mug", 5)
    rig.recorder.close()
    rig.offset_ns = -100 * DAY_NS
    rig.recorder = rig.make(days=1)
    rig.see("pen", 5)
    rig.recorder.close()
    pen, mug = rig.visits()
    assert (pen.clock, mug.clock) == (ClockState.DOUBTFUL, ClockState.UNCHECKED)


def test_too_old_visits_are_deleted_by_the_clock(rig: Rig) -> None:
    rig.see("mug", 5)
    rig.recorder.close()
    rig.offset_ns += 2 * DAY_NS
    rig.recorder = rig.make(days=1)
    rig.see("pen", 5)
    assert [one.label for one in rig.visits()] == ["pen"]


def test_a_full_disk_stops_the_history_until_there_is_room(rig: Rig) -> None:
    rig.free = FREE_BYTES - 1
    for label in ("mug", "pen") * 2:
        rig.see(label, 20)
    assert rig.visits() == []
    assert rig.reports.events == ["history_stopped"]
    assert "63 MB free" in str(rig.recorder.stopped)
    rig.free = FREE_BYTES
    rig.see("pen", 31)
    assert rig.reports.events == ["history_stopped", "history_resumed"]
    assert [one.label for one in rig.visits()] == ["mug", "pen", "mug", "pen"]


def test_what_waits_for_a_disk_is_bounded(rig: Rig) -> None:
    rig.free = 0
    for _ in range(2 * MOST_PICTURES):
        rig.see("mug", 1)
        rig.see("pen", 1)
    rig.free = 1 << 40
    rig.recorder.close()
    with HistoryStore.reader(rig.path) as reader:
        pictures = [one.picture for one in reader.visits()]
    assert len(pictures) == 4 * MOST_PICTURES
    assert pictures == [True] * MOST_PICTURES + [False] * 3 * MOST_PICTURES


def test_a_damaged_database_is_set_aside_at_the_start(rig: Rig) -> None:
    rig.see("mug", 5)
    rig.recorder.close()
    rig.path.write_bytes(b"\0" * 50_000)
    rig.recorder = rig.make()
    assert rig.reports.events == ["history_damaged"]
    assert rig.reports.last("history_damaged")["kept"] == str(aside_path(rig.path))
    rig.see("pen", 5)
    assert [one.label for one in rig.visits()] == ["pen"]


def test_a_database_that_is_damaged_meanwhile_is_set_aside(rig: Rig) -> None:
    rig.see("mug", 5)
    rig.see("pen", 3)
    # into the file: a page is read from the log while it is there
    rig.store._vacuum()
    with rig.path.open("r+b") as file:
        for page in range(1, 30):
            file.seek(4096 * page)
            file.write(b"\xff" * 4096)
    # a connection keeps pages in memory
    assert rig.recorder._store is not None
    rig.recorder._store.close()
    rig.recorder._store = HistoryStore.open(rig.path)
    rig.see("mug", 5)
    assert "history_damaged" in rig.reports.events
    assert rig.recorder.stopped is None
    assert [one.label for one in rig.visits()][-1] == "mug"


def test_a_folder_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "missing")
    rig.see("mug", 100)
    assert rig.reports.events == ["history_stopped"]
    assert rig.recorder.store is None
    assert "missing" in str(rig.recorder.stopped)
    rig.recorder.close()


def test_corrections_of_classes_and_examples_are_followed(rig: Rig) -> None:
    rig.see(None, 5)
    rig.see("mug", 3)
    rig.store.taught([(1, 7)], "mug")
    renamed = Action(3, 0, "rename", (ExampleChange(7, "mug", "cup"),))
    rig.recorder.listen(Corrected("renamed", renamed, "page", 0))
    rig.see("mug", 3)
    unknown, cup = rig.visits()
    assert (unknown.taught, cup.label) == ("cup", "cup")
    rig.recorder.listen(Corrected("undone", renamed, "page", 0))
    taught = Action(2, 0, "teach", (ExampleChange(7, None, "mug"),))
    rig.recorder.listen(Corrected("undone", taught, "page", 0))
    rig.see("mug", 3)
    unknown, mug = rig.visits()
    assert (unknown.taught, unknown.unsure, mug.label) == (None, True, "mug")


def test_a_picture_that_compresses_badly_is_bounded() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (260, 260, 3)).astype(np.uint8)
    jpeg = to_bounded_jpeg(noise)
    assert jpeg is not None
    assert len(jpeg) <= MOST_BYTES
    assert to_bounded_jpeg(np.tile(noise, (8, 8, 1))) is None


def test_a_frame_is_found_with_the_embedding_that_it_was_decided_on() -> None:
    recent = RecentFrames()
    source = RecentFrameFinder(recent, make_preprocess())
    assert source.grab(1, NS_PER_S) is None
    recent.add(frame("red", 1.0, 1))
    recent.add(frame("red", 1.1, 2))
    recent.add_embedding(NS_PER_S, np.full(4, 7, np.uint8))
    recent.add_embedding(2 * NS_PER_S, np.full(4, 9, np.uint8))
    # not encoded itself: the picture had not changed
    found = source.grab(2, round(1.1 * NS_PER_S))
    assert isinstance(found, GrabbedFrame)
    assert found.embedding.tolist() == [7] * 4


def test_its_thread_stores_a_visit_and_ends_with_the_recorder(tmp_path: Path) -> None:
    clock, reports = MonotonicClock(), Reports()
    finder = RecentFrameFinder(RecentFrames(), make_preprocess())
    tracker = VisitTracker("camera", gap_ns=5 * NS_PER_S)
    recorder = HistoryRecorder(
        tmp_path / "history.sqlite", HistoryConfig(), [RecordedPlace(tracker, finder)], clock, reports
    )
    recorder.start()
    now_s = clock.monotonic_ns() / NS_PER_S
    for tenth in range(20):
        recorder.listen(shown("mug", now_s + tenth / 10))
    recorder.close()
    assert not recorder._thread.is_alive()
    with HistoryStore.reader(tmp_path / "history.sqlite") as reader:
        (mug,) = reader.page().visits
    assert (mug.label, mug.frames, mug.open, mug.picture) == ("mug", 20, False, False)
    assert reports.events == []
