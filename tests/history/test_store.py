"""The database of visits: pages, filters, limits, clocks, deleting, damage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError, StateBusy, StateNotWritable
from edge_app.history import database
from edge_app.history.database import HistoryDamaged
from edge_app.history.records import ClockState, VisitFilter, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.history.visits import Visit
from edge_app.storage.records import ExampleChange
from support.visits import WALL_NS, visit

UNCHECKED, SYNCHRONISED = ClockState.UNCHECKED, ClockState.SYNCHRONISED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def record(one: Visit, picture: bytes | None = b"jpeg", **fields: object) -> VisitRecord:
    embedding = None if picture is None else bytes(range(16))
    return VisitRecord(one, False, None, picture, embedding)._replace(**fields)  # type: ignore[arg-type]


def filled(path: Path, count: int = 10) -> HistoryStore:
    """Visits of mug, unknown and pen in turn, ten seconds apart; every fourth one in another place."""
    store = HistoryStore.open(path)
    labels = ("mug", None, "pen")
    records = [record(visit(labels[n % 3], 10 * n, place="door" if n % 4 == 3 else "shelf")) for n in range(count)]
    assert store.add(records, store.begin_run(), UNCHECKED) == list(range(1, count + 1))
    return store


def test_a_visit_is_read_as_it_was_added(path: Path) -> None:
    with filled(path, 1) as store:
        one = store.visit(1)
        assert one[:10] == (1, "shelf", "mug", WALL_NS, 2 * NS_PER_S, 20, 0.9, 0.9, "pen", 5)
        assert (one.clock, one.open, one.unsure, one.picture, one.taught) == (UNCHECKED, False, False, True, None)
        assert (store.picture(1), store.embedding(1)) == (b"jpeg", bytes(range(16)))
        with pytest.raises(InputError, match="no visit 2"):
            store.picture(2)
    with HistoryStore.reader(path) as reader, pytest.raises(StateNotWritable, match="read only"):
        reader.delete_one(1)


def test_pages_follow_one_another_without_a_gap(path: Path) -> None:
    with filled(path) as store:
        seen, cursor = [], None
        while True:
            page = store.page(cursor=cursor, limit=3)
            seen += [one.id for one in page.visits]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == list(range(10, 0, -1))
        with pytest.raises(InputError, match="limit = 0"):
            store.page(limit=0)
        for wrong in ("", "all.1", "all.x.1", "sure.1.1", f"all.{1 << 70}.1"):
            with pytest.raises(InputError, match="cursor"):
                store.page(cursor=wrong)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10])
def test_unsure_ones_come_first_on_request(path: Path, limit: int) -> None:
    with filled(path) as store:
        seen, cursor = [], None
        while not seen or cursor is not None:
            page = store.page(cursor=cursor, limit=limit, unsure_first=True)
            seen += [one.id for one in page.visits]
            cursor = page.cursor
        assert seen == [8, 5, 2, 10, 9, 7, 6, 4, 3, 1]


def test_filters_select_by_label_place_unsure_and_time(path: Path) -> None:
    with filled(path) as store:

        def ids(**wanted: object) -> list[int]:
            return [one.id for one in store.page(VisitFilter(**wanted)).visits]  # type: ignore[arg-type]

        assert ids(label="mug") == [10, 7, 4, 1]
        assert ids(unknown=True) == ids(unsure=True) == [8, 5, 2]
        assert ids(place="door") == [8, 4]
        assert ids(place="door", label="mug") == [4]
        assert ids(label="cup") == []
        assert ids(from_ns=WALL_NS + 20 * NS_PER_S, before_ns=WALL_NS + 40 * NS_PER_S) == [4, 3]
        assert store.total(VisitFilter(unsure=False)) == 7
        assert len(list(store.visits(VisitFilter(label="pen")))) == 3
        with pytest.raises(InputError, match="together with unknown"):
            ids(label="mug", unknown=True)
        assert store.names() == (["door", "shelf"], ["mug", "pen"])


def test_a_filter_means_a_name_however_its_accents_are_written(path: Path) -> None:
    with HistoryStore.open(path) as store:
        store.add([record(visit("T\u00e4schen", 0, place="K\u00fcche"))], store.begin_run(), UNCHECKED)
        for wanted in (VisitFilter(label="Ta\u0308schen"), VisitFilter(place="Ku\u0308che")):
            assert [one.id for one in store.page(wanted).visits] == [1]


def test_an_open_visit_is_replaced_and_closed_by_the_next_run(path: Path) -> None:
    with HistoryStore.open(path) as store:
        run = store.begin_run()
        (number,) = store.add([record(visit(duration_s=1), None, open=True)], run, UNCHECKED)
        store.add([record(visit(duration_s=60), b"better", open=True, id=number)], run, UNCHECKED)
        one = store.visit(number)
        assert (one.duration_ns, one.open, store.picture(number)) == (60 * NS_PER_S, True, b"better")
        store.delete_one(number)
        store.add([record(visit(duration_s=70), id=number)], run, UNCHECKED)
        assert store.page().visits == []
        store.add([record(visit(duration_s=1), None, open=True)], run, UNCHECKED)
    with HistoryStore.open(path) as store:
        store.begin_run()
        assert [one.open for one in store.page().visits] == [False]


def test_a_clock_that_is_set_corrects_the_visits_of_its_run(path: Path) -> None:
    year_ns = 365 * 86_400 * NS_PER_S
    with filled(path, 2) as store:
        run = store.begin_run()
        store.add([record(visit("mug", -5)), record(visit("pen", -1))], run, ClockState.DOUBTFUL)
        assert store.shift(run, year_ns, SYNCHRONISED) == 2
        assert [one.id for one in store.page().visits] == [4, 3, 2, 1]
        assert store.visit(3).begin_ns == WALL_NS - 5 * NS_PER_S + year_ns
        assert store.visit(3).clock == SYNCHRONISED
        assert store.visit(1).clock == UNCHECKED
        assert store.shift(run, -year_ns, SYNCHRONISED) == 0


def test_too_old_visits_and_those_over_the_size_are_deleted_the_oldest_first(path: Path) -> None:
    with filled(path) as store:
        assert store.trim(1 << 30, WALL_NS + 20 * NS_PER_S) == 2
        assert [one.id for one in store.page().visits] == [10, 9, 8, 7, 6, 5, 4, 3]
        run = store.begin_run()
        for _ in range(5):
            store.add([record(visit(), bytes(20_000)) for _ in range(100)], run, UNCHECKED)
        most = 8 << 20
        assert store.used_bytes() > most
        assert store.trim(most, None) == 0
        assert store.used_bytes() < most
        with_pictures = sorted(one.id for one in store.visits() if one.picture)
        assert with_pictures == list(range(511 - len(with_pictures), 511))
        assert len(with_pictures) > 150


def test_visits_without_pictures_are_deleted_once_they_take_half(path: Path) -> None:
    with HistoryStore.open(path) as store:
        store.add([record(visit(), None) for _ in range(30_000)], store.begin_run(), UNCHECKED)
        most = 3 << 20
        assert store.trim(most, None) > 0
        assert store.used_bytes() < most
        assert store.page(limit=1).visits[0].id == 30_000


def test_deleted_pictures_leave_no_bytes_in_the_files(path: Path) -> None:
    secret = b"a picture of someone" * 100
    with HistoryStore.open(path) as store:
        store.add([record(visit(), secret)], store.begin_run(), UNCHECKED)
        database.aside_path(path).write_bytes(secret)
        assert store.delete(VisitFilter()) == 1
        for file in path.parent.iterdir():
            assert b"a picture of someone" not in file.read_bytes(), file
        assert store.page().visits == []


def test_delete_by_label_leaves_the_others(path: Path) -> None:
    with filled(path) as store:
        assert store.delete(VisitFilter(label="mug")) == 4
        assert store.delete(VisitFilter(unknown=True)) == 3
        assert {one.label for one in store.page().visits} == {"pen"}
        with pytest.raises(InputError, match="no visit 1"):
            store.delete_one(1)


def test_what_was_taught_follows_the_example(path: Path) -> None:
    with filled(path) as store:
        store.taught([(2, 77)], "cup")
        one = store.visit(2)
        assert (one.taught, one.example, one.unsure, one.label) == ("cup", 77, False, None)
        store.follow([ExampleChange(77, "cup", "bowl")])
        assert store.visit(2).taught == "bowl"
        store.follow([ExampleChange(77, "bowl", None)])
        assert store.visit(2)[-2:] == (None, 77)
        assert store.visit(2).unsure
        revision = store.revision
        assert store.dismiss([5, 5, 1]) == 1
        assert store.revision > revision
        assert [one.id for one in store.page(VisitFilter(unsure=True)).visits] == [8, 2]


def test_a_renamed_class_keeps_its_visits(path: Path) -> None:
    with filled(path) as store:
        store.rename("mug", "cup")
        store.rename("nothing", "cup")
        assert store.total(VisitFilter(label="cup")) == 4
        store.rename("cup", "pen")
        assert store.total(VisitFilter(label="pen")) == 7
        assert store.names()[1] == ["pen"]


def test_unknown_visits_are_grouped_until_they_are_taught(path: Path) -> None:
    with filled(path) as store:
        (group,) = store.groups()
        assert sorted(group.visits) == [2, 5, 8]
        store.taught([(2, 1)], "cup")
        (group,) = store.groups()
        assert sorted(group.visits) == [5, 8]
        assert store.groups("nowhere") == []


def test_embeddings_of_another_encoder_are_not_used(path: Path) -> None:
    with filled(path) as store:
        run = store.begin_run("other")
        assert (store.embedding(2), store.picture(2)) == (None, b"jpeg")
        assert store.groups() == []
        first, second = store.add([record(visit(None, 200 + n)) for n in range(2)], run, UNCHECKED)
        assert sorted(store.groups()[0].visits) == [first, second]
        store.begin_run("other")
        assert store.embedding(first) is not None
        store.begin_run()
        assert store.embedding(first) is None


def test_a_damaged_file_is_named_and_can_be_set_aside(path: Path) -> None:
    filled(path).close()
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(HistoryDamaged, match="is damaged"):
        HistoryStore.open(path)
    aside = database.set_aside(path)
    assert aside.read_bytes().startswith(b"no database")
    with HistoryStore.open(path) as store:
        assert store.page().visits == []


def test_a_store_that_was_closed_says_so(path: Path) -> None:
    store = filled(path)
    store.close()
    store.close()
    for use in (store.page, lambda: store.delete_one(1)):
        with pytest.raises(StateBusy, match="has just been closed"):
            use()


def test_a_foreign_and_a_newer_database_are_not_used(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE other (id)")
    with pytest.raises(HistoryDamaged, match="not a history"):
        HistoryStore.open(path)
    path.unlink()
    filled(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer edge-app"):
        HistoryStore.open(path)


def test_an_empty_file_of_a_power_cut_is_filled(path: Path) -> None:
    path.touch()
    with HistoryStore.open(path) as store:
        assert store.page().visits == []
    with pytest.raises(InputError, match="there is no history"):
        HistoryStore.reader(path.with_name("none.sqlite"))
