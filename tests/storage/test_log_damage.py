"""Damage to the write-ahead log: found, whatever of it is hit; the evidence stays as it is; recovery reads on."""

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge_app.errors import StateBusy, StateCorrupt, StateNotWritable
from edge_app.storage import acknowledged, database, recovery, wal
from edge_app.storage.acknowledged import BLOCK, END, Acknowledged, read_acknowledged
from edge_app.storage.folder import database_path
from edge_app.storage.recovery import recover
from edge_app.storage.store import Store
from edge_app.storage.transaction import changing
from support.simple_network import clean_replay, embedding, open_learner

TAUGHT = 20
NAME = "examples.sqlite" + END
FILES = ("examples.sqlite", "examples.sqlite-wal", NAME)


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """A state as a power cut leaves it: half in the database, half in the log; one change undone, one forgotten."""
    live, state = tmp_path / "live", tmp_path / "state"
    with open_learner(live) as learner:
        for i in range(TAUGHT // 2):
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source=f"{i}", thumbnail=b"picture %d" % i * 99)
    with open_learner(live) as learner:
        for i in range(TAUGHT // 2, TAUGHT):
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source=f"{i}", thumbnail=b"picture %d" % i * 99)
        learner.teach(embedding(99), "class 0", source="undone")
        learner.undo()
        learner.forget_example(3)
        state.mkdir()
        for name in FILES:
            shutil.copy(live / name, state / name)
    return state


def contents(state: Path) -> dict[str, bytes]:
    """The files that are evidence."""
    found = {name: (state / name).read_bytes() for name in FILES if (state / name).exists()}
    return {name: content for name, content in found.items() if content}  # SQLite makes an empty log


def is_refused(state: Path, words: str = "is damaged") -> None:
    """Nobody opens it, and nobody changes it."""
    before = contents(state)
    for opening in (Store.open, Store.reader):
        with pytest.raises(StateCorrupt, match=words):
            opening(database_path(state))
        assert contents(state) == before
    with pytest.raises(StateCorrupt, match=words):
        open_learner(state)
    assert contents(state) == before


def is_recovered(state: Path, least: int) -> None:
    """Recovery copies the evidence and keeps at least so many examples, none that was taken back; once is enough."""
    before = contents(state)
    done = recover(state)
    assert done is not None
    assert done.saved >= least
    assert contents(done.aside) == before
    with open_learner(state) as learner:
        sources = [example.source for example in learner.examples()]
        assert set(sources) <= {str(i) for i in range(TAUGHT)}
        assert len(sources) == done.saved
        for example in learner.examples():
            values = embedding(int(example.source), int(example.source) % 3).tobytes()
            assert learner._store.embedding(example.id) == values
        learner.teach(embedding(1), "class 1", source="20")
        assert learner.network_state() == clean_replay(state)
    assert recover(state) is None


def test_a_whole_log_is_read_to_its_end(cut_off: Path) -> None:
    log = cut_off / "examples.sqlite-wal"
    assert not wal.is_damaged(log)
    before = contents(cut_off)
    assert not wal.repair(log)
    assert contents(cut_off) == before
    with open_learner(cut_off) as learner:
        assert len(learner.examples()) == TAUGHT - 1
        assert learner.network_state() == clean_replay(cut_off)


def test_every_flipped_bit_is_found(cut_off: Path) -> None:
    log = cut_off / "examples.sqlite-wal"
    whole, chance = log.read_bytes(), random.Random(1)
    by_itself = 0
    for number in range(150):
        data = bytearray(whole)
        place = chance.randrange(32) if number < 10 else chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
        log.write_bytes(data)
        by_itself += wal.is_damaged(log)
        for opening in (Store.open, Store.reader):
            with pytest.raises(StateCorrupt, match="is damaged"):
                opening(database_path(cut_off))
        assert log.read_bytes() == bytes(data)
    assert by_itself > 120, "without the number outside, damage that hits the last change only is not told"


def test_every_cut_is_found(cut_off: Path) -> None:
    log = cut_off / "examples.sqlite-wal"
    whole, chance = log.read_bytes(), random.Random(2)
    for number in range(60):
        log.write_bytes(
            whole[: [0, 31, 32, 56, len(whole) - 1][number] if number < 5 else chance.randrange(len(whole))]
        )
        is_refused(cut_off, "acknowledged changes are missing|fails its checksum|rows are missing|malformed")


def test_a_log_that_was_removed_is_missed(cut_off: Path) -> None:
    (cut_off / "examples.sqlite-wal").unlink()
    is_refused(cut_off, "the last 13 of 23 acknowledged changes are missing")
    is_recovered(cut_off, TAUGHT // 2)


def test_an_older_copy_of_the_database_is_accepted_by_recovery(cut_off: Path) -> None:
    older = cut_off.with_name("older.sqlite")
    with open_learner(cut_off) as learner:
        learner._store.backup(older)
        learner.teach(embedding(1), "class 1", source="20")
    shutil.copy(older, database_path(cut_off))
    is_refused(cut_off, "the last 1 of 24 acknowledged changes are missing: .* an older copy")
    done = recover(cut_off)
    assert done is not None
    assert (done.saved, done.lost, done.changes_lost) == (TAUGHT - 1, 0, 1)
    open_learner(cut_off).close()


@pytest.mark.parametrize("seed", range(12))
def test_recovery_reads_behind_the_damage(cut_off: Path, seed: int) -> None:
    log = cut_off / "examples.sqlite-wal"
    data, chance = bytearray(log.read_bytes()), random.Random(seed)
    data[chance.randrange(32) if seed < 2 else chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    log.write_bytes(data)
    is_refused(cut_off)
    is_recovered(cut_off, TAUGHT - 3)


@pytest.mark.parametrize("seed", range(6))
def test_recovery_of_a_log_that_was_cut_keeps_what_is_before_the_cut(cut_off: Path, seed: int) -> None:
    log = cut_off / "examples.sqlite-wal"
    data = log.read_bytes()
    log.write_bytes(data[: len(data) * seed // 6])
    is_refused(cut_off)
    is_recovered(cut_off, TAUGHT // 2)


def test_an_interrupted_recovery_is_completed(cut_off: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cut_off / "examples.sqlite-wal").write_bytes(b"damage")

    class Stopped(BaseException):
        """Stands for a power cut."""

    def stop(path: Path) -> None:
        if path.with_name(recovery.RECOVERED).exists():
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "_finish", stop)
        with pytest.raises(Stopped):
            recover(cut_off)
    assert contents(cut_off)["examples.sqlite-wal"] == b"damage"
    assert recover(cut_off) is None
    with open_learner(cut_off) as learner:
        assert len(learner.examples()) == TAUGHT // 2


def test_a_copy_of_the_same_damage_is_made_once(cut_off: Path) -> None:
    database_path(cut_off).write_bytes(b"\0" * 20_000)
    (cut_off / "examples.sqlite-wal").unlink()
    for _ in range(3):
        with pytest.raises(StateCorrupt, match=r"beyond repair.*damaged-1"):
            recover(cut_off)
    assert [path.name for path in cut_off.glob("damaged-*")] == ["damaged-1"]


def test_a_log_without_a_number_outside_is_judged_by_itself(cut_off: Path) -> None:
    (cut_off / NAME).unlink()
    log = cut_off / "examples.sqlite-wal"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    is_refused(cut_off, "its write-ahead log is damaged")
    is_recovered(cut_off, TAUGHT - 3)


def test_a_state_of_an_older_edge_app_gets_its_number_when_it_is_opened(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
    db = sqlite3.connect(database_path(tmp_path))
    db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (database.NUMBER,))
    db.commit()
    db.close()
    (tmp_path / NAME).unlink()
    Store.reader(database_path(tmp_path)).close()
    assert read_acknowledged(database_path(tmp_path)) is None
    with open_learner(tmp_path) as learner:
        assert read_acknowledged(database_path(tmp_path)) == 0
        learner.undo()
    assert read_acknowledged(database_path(tmp_path)) == 1


def test_an_older_edge_app_may_have_written_meanwhile(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
        number = read_acknowledged(database_path(tmp_path))
        with changing(learner._store._db) as change:
            change.insert_presentation(1)
            change.number -= 1  # it does not count
    with open_learner(tmp_path) as learner:
        assert learner.network_state() == clean_replay(tmp_path)
        assert read_acknowledged(database_path(tmp_path)) == number


# The number outside


def test_the_number_follows_every_change_and_is_synced_for_a_person_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with open_learner(tmp_path) as learner:
        monkeypatch.setattr(os, "fdatasync", synced.append)
        for number in range(1, 6):
            learner.teach(embedding(number), "mug", source="test", thumbnail=b"x")
            assert read_acknowledged(database_path(tmp_path)) == number
        assert len(synced) == 5
        learner._store.dream([database_dream(1)])
        assert (read_acknowledged(database_path(tmp_path)), len(synced)) == (6, 5)
        learner.undo()
        assert (read_acknowledged(database_path(tmp_path)), len(synced)) == (7, 6)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o640


def database_dream(example: int) -> "object":
    from edge_app.storage.records import Dream

    return Dream(example, 0, b"")


def test_a_half_written_number_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "examples.sqlite"
    with Acknowledged(path, 6) as kept:
        kept.write(7, durable=True)
        kept.write(8, durable=True)
    whole = (tmp_path / NAME).read_bytes()
    assert len(whole) <= 2 * BLOCK
    for place in range(32):
        for start, left in ((0, 7), (BLOCK, 8)):
            data = bytearray(whole)
            data[start + place] ^= 1
            (tmp_path / NAME).write_bytes(data)
            assert read_acknowledged(path) == left
    for length in (0, 5, 31):
        (tmp_path / NAME).write_bytes(whole[:length])
        assert read_acknowledged(path) is None


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_number_that_cannot_be_written_keeps_nobody_from_teaching(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "folder":
        (tmp_path / NAME).mkdir()
    else:
        (tmp_path / NAME).symlink_to(tmp_path / "elsewhere" / "file")
        (tmp_path / "elsewhere").mkdir()
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
        assert len(learner.examples()) == 1
    assert not (tmp_path / "elsewhere" / "file").exists()
    assert kind == "link" or "damage to the end of the log would not be noticed" in caplog.text


def test_a_disk_that_fails_while_the_number_is_written_keeps_nobody_from_teaching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
        monkeypatch.setattr(acknowledged.os, "pwrite", fail)
        learner.teach(embedding(2), "mug", source="test")
        learner.teach(embedding(3), "mug", source="test")
        assert len(learner.examples()) == 3
    assert caplog.text.count("would not be noticed") == 1
    with open_learner(tmp_path) as learner:
        assert len(learner.examples()) == 3


# Files that are taken away while they are open


@pytest.mark.parametrize("name", ["examples.sqlite", "examples.sqlite-wal", "."])
def test_nothing_is_stored_in_files_that_were_taken_away(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    with open_learner(state) as learner:
        learner.teach(embedding(1), "mug", source="test")
        os.rename(state / name if name != "." else state, tmp_path / "aside")
        for _ in range(2):
            with pytest.raises(StateNotWritable, match="was removed or replaced while it was open"):
                learner.teach(embedding(2), "mug", source="test")
        assert learner.labels == ("mug",)
        os.rename(tmp_path / "aside", state / name if name != "." else state)
        learner.teach(embedding(3), "mug", source="test")
    with open_learner(state) as learner:
        assert len(learner.examples()) == 2


def test_a_second_writer_that_got_in_is_noticed(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
        (tmp_path / "lock").unlink()
        with open_learner(tmp_path) as other:
            other.teach(embedding(2), "mug", source="other")
            with pytest.raises(StateBusy, match="is in use by"):
                learner.teach(embedding(3), "mug", source="test")
        with pytest.raises(StateBusy, match="another program has changed"):
            learner.teach(embedding(3), "mug", source="test")
        (tmp_path / "lock").unlink()
    with open_learner(tmp_path) as learner:
        assert [example.source for example in learner.examples()] == ["test", "other"]
        (tmp_path / "lock").unlink()
        learner.teach(embedding(4), "mug", source="test")
        with pytest.raises(StateBusy, match=f"process {os.getpid()}"):
            open_learner(tmp_path)
