"""The store: durable, checked row by row, one writer, readers beside it; and a disk that does not play."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.errors import EdgeAppError, StateBusy, StateCorrupt, StateNotWritable
from edge_app.learner import Learner
from edge_app.storage import database, verify
from edge_app.storage.folder import FolderLock
from edge_app.storage.records import NewExample
from edge_app.storage.store import Store
from support.simple_network import SIZE, binding, clean_replay, embedding, open_learner


def new(seed: int, label: str = "mug", thumbnail: bytes | None = None) -> NewExample:
    return NewExample(embedding(seed).tobytes(), label, seed, "test", thumbnail)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with ten examples of two classes."""
    path = tmp_path / "examples.sqlite"
    with Store.create(path, binding()) as store:
        for i in range(10):
            store.commit("teach", i, add=[new(i, "mug" if i % 2 else "pen", b"jpeg %d" % i)])
    return path


def test_what_was_stored_is_read_back(path: Path) -> None:
    with Store.open(path) as store:
        assert store.binding == binding()
        assert store.classes() == {"pen": 5, "mug": 5}
        assert [example.time_ns for example in store.examples("mug")] == [1, 3, 5, 7, 9]
        assert store.embedding(4) == embedding(3).tobytes()
        assert store.thumbnail(4) == b"jpeg 3"
        assert [entry.seq for entry in store.journal(after=7)] == [8, 9, 10]
        assert len(store.journal(limit=3)) == 3
        store.check()


def test_the_database_is_in_wal_mode_and_every_commit_is_synced(path: Path) -> None:
    with Store.open(path) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_action_that_fails_half_way_leaves_nothing(path: Path) -> None:
    with Store.open(path) as store:
        with pytest.raises(EdgeAppError, match="no example 99"):
            store.commit("relabel", 0, labels={1: "cup", 99: "cup"})
        with pytest.raises(ZeroDivisionError):
            store.commit("import", 0, add=(new(1 // (2 - i)) for i in range(5)))
        assert store.classes() == {"pen": 5, "mug": 5}
        store.commit("teach", 0, add=[new(50)])
    Store.open(path).close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE examples SET embedding = zeroblob(32) WHERE id = 4", "row 4 of the table examples"),
        ("UPDATE examples SET label = 'cat' WHERE id = 4", "row 4 of the table examples"),
        ("UPDATE examples SET id = 40 WHERE id = 4", "row 40 of the table examples"),
        ("UPDATE presentations SET example = 3 WHERE seq = 4", "row 4 of the table presentations"),
        ("UPDATE actions SET changes = '[]' WHERE id = 4", "row 4 of the table actions"),
        ("DELETE FROM examples WHERE id = 4", "it has 29, 30 were written"),
        ("DELETE FROM presentations WHERE seq = 10", "it has 29, 30 were written"),
        ("DELETE FROM ledger", "an unknown number"),
        ("UPDATE binding SET json = replace(json, 'encoder-a', 'encoder-b')", "names the encoder"),
        ("DELETE FROM binding", "names the encoder"),
        ("DROP TABLE actions", "no such table"),
        ("PRAGMA application_id = 1", "another program"),
    ],
)
def test_an_altered_row_is_refused_and_recovery_is_named(path: Path, statement: str, words: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    before = path.read_bytes()
    for opening in (Store.open, Store.reader):
        with pytest.raises(StateCorrupt, match=words) as caught:
            opening(path)
        assert "edge-app recover --state" in str(caught.value)
    assert path.read_bytes() == before


def test_a_damaged_thumbnail_is_refused_where_it_is_read(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("UPDATE thumbnails SET jpeg = 'x' WHERE example = 4")
    db.commit()
    db.close()
    with Store.open(path) as store:
        assert store.thumbnail(3) == b"jpeg 2"
        with pytest.raises(StateCorrupt, match="thumbnail of example 4"):
            store.thumbnail(4)
        with pytest.raises(StateCorrupt, match="thumbnail of example 4"):
            store.check()


def test_a_database_that_another_program_changed_meanwhile_is_not_changed_further(path: Path) -> None:
    with Store.open(path) as store:
        db = sqlite3.connect(path)
        db.execute("UPDATE examples SET embedding = zeroblob(32) WHERE id = 4")
        db.commit()
        db.close()
        with pytest.raises(StateBusy, match="another program has changed"):
            store.commit("relabel", 0, labels={3: "cup"})
        with pytest.raises(StateCorrupt, match="example 4"):
            store.journal()


def test_a_change_while_a_database_is_checked_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_indexes = verify._check_indexes
    with Store.open(path) as first:
        known = len(first.examples())

        def changed_meanwhile(db: sqlite3.Connection, where: Path) -> None:
            first.commit("teach", 1, add=[new(77)])
            check_indexes(db, where)

        monkeypatch.setattr(verify, "_check_indexes", changed_meanwhile)
        with Store.open(path) as second:
            assert len(second.examples()) == known + 1


def test_a_creation_that_was_interrupted_is_begun_again(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"examples.sqlite.new{suffix}").write_bytes(b"half of it")
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "mug", source="test")
    assert not list(tmp_path.glob("*.new*"))


def test_a_newer_schema_is_refused(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StateCorrupt, match="newer edge-app"):
        Store.open(path)


@pytest.mark.parametrize("version", range(1, database.SCHEMA_VERSION))
def test_a_database_of_an_older_schema_is_read_as_it_is_and_brought_up_to_date_when_written(
    path: Path, version: int
) -> None:
    db = sqlite3.connect(path)
    for table in reversed(database.MIGRATIONS[version - 1 :]):
        db.execute(f"DROP TABLE {table.split()[2]}")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with Store.reader(path) as store:
        before = store.binding, store.journal(), store.examples(), store.history()
    assert len(before[1]) > 0
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == version, "reading must change nothing"
    db.close()
    with Store.open(path) as store:
        assert (store.binding, store.journal(), store.examples(), store.history()) == before
        store.check()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == database.SCHEMA_VERSION
    schema = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    db.close()
    assert {table.split()[2] for table in database.MIGRATIONS} <= schema


def test_a_schema_that_was_never_released_is_refused(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 0")
    db.close()
    with pytest.raises(StateCorrupt, match="expected at least 1"):
        Store.open(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_the_file_is_refused_or_harmless(path: Path, place: float, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    _refused_or_unchanged(path, bytes(data))


def test_a_schema_that_is_no_text_is_refused(path: Path) -> None:
    data = path.read_bytes().replace(b"CREATE TABLE actions", b"CREATE TABLE act\xe9\xff\xfe!", 1)
    path.write_bytes(data.replace(b"CREATE INDEX", b"CRE\xc5TE INDEX", 1))
    with pytest.raises(StateCorrupt):
        Store.open(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_refused(path: Path, place: float) -> None:
    data = path.read_bytes()
    _refused_or_unchanged(path, data[: int(place * len(data))])


def _refused_or_unchanged(path: Path, data: bytes) -> None:
    """A damaged copy either raises StateCorrupt or gives exactly the examples that were stored."""
    copy = path.parent / "damaged" / path.name
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir()
    copy.write_bytes(data)
    with Store.reader(path) as store:
        expected = store.binding, store.journal(), store.examples(), store.history()
    try:
        with Store.open(copy) as store:
            found = store.binding, store.journal(), store.examples(), store.history()
            assert found == expected
    except StateCorrupt:
        pass
    except StateNotWritable as error:
        assert "read" in str(error)  # noqa: PT017 the file format version says "read only"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"no database at all, but text" * 300])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateCorrupt, match="recover"):
        Store.open(path)
    assert path.read_bytes() == content


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edge_app.storage.folder import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(StateBusy, match=f"process {child.pid}"):
            FolderLock(tmp_path)
        child.kill()
        child.wait()
    lock = FolderLock(tmp_path)
    with pytest.raises(StateBusy, match=f"process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_a_foreign_writer_makes_it_busy_and_nothing_is_lost(path: Path) -> None:
    with Store.open(path) as store:
        store._db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateBusy, match="another program"):
            store.commit("teach", 0, add=[new(50)])
        other.execute("ROLLBACK")
        other.close()
        store.commit("teach", 0, add=[new(50)])
        assert len(store.examples()) == 11


# A disk that does not play. Mounting needs root; elsewhere a limit on file sizes stands in for the full disk.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mount = shutil.which("mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def _teach_until_refused(learner: Learner) -> tuple[int, str]:
    """Teach until the disk is full; return the number acknowledged and the message."""
    picture = os.urandom(20_000)
    for taught in range(200):
        try:
            learner.teach(embedding(taught, taught % 3), f"class {taught % 3}", source="test", thumbnail=picture)
        except StateNotWritable as error:
            return taught, str(error)
    pytest.fail("the disk never became full")


def test_a_full_disk_refuses_the_example_and_keeps_what_was_taught(small_disk: Path) -> None:
    state = small_disk / "state"
    (small_disk / "ballast").write_bytes(bytes(200_000))
    with open_learner(state) as learner:
        taught, message = _teach_until_refused(learner)
        assert taught > 10
        assert "the disk is full" in message
        assert "unchanged" in message
        before = learner.network_state()
        assert len(learner.examples()) == taught
        assert learner.classify(embedding(1, 1)).labels == ("class 0", "class 1", "class 2")
    with open_learner(state) as learner:
        assert len(learner.examples()) == taught
        assert learner.network_state() == before == clean_replay(state)
        (small_disk / "ballast").unlink()
        learner.teach(embedding(5), "mug", source="test")
        learner.undo()
        assert learner.network_state() == before


def test_forgetting_for_good_gives_its_snapshots_up_to_have_room_on_a_full_disk(small_disk: Path) -> None:
    state = small_disk / "state"
    with open_learner(state) as learner:
        learner.teach(embedding(5), "mug", source="test")
        learner.save()
        (snapshot,) = (state / "snapshots").iterdir()
        with snapshot.open("ab") as file:
            file.write(bytes(200_000))
        taught, _ = _teach_until_refused(learner)
        learner.purge([example.id for example in learner.examples()[-3:]])
        assert len(learner.examples()) == taught - 2
        assert learner.network_state() == clean_replay(state)


def test_a_disk_too_full_to_begin_leaves_no_half_made_state(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    with pytest.raises(StateNotWritable, match="full"):
        open_learner(small_disk / "state")
    (small_disk / "ballast").unlink()
    with open_learner(small_disk / "state") as learner:
        learner.teach(embedding(1), "mug", source="test")


def test_a_read_only_disk_can_be_asked_but_not_taught(small_disk: Path) -> None:
    state = small_disk / "state"
    with open_learner(state) as learner:
        for i in range(6):
            learner.teach(embedding(i, i % 2), f"class {i % 2}", source="test")
        before = learner.network_state()
    _remount(small_disk, "ro")
    try:
        with pytest.raises(StateNotWritable, match="read-only file system"):
            open_learner(state)
        with pytest.raises(StateNotWritable, match="read-only file system"):
            open_learner(small_disk / "new")
        with open_learner(state, read_only=True) as reader:
            assert reader.network_state() == before
    finally:
        _remount(small_disk, "rw")


def test_a_disk_that_becomes_read_only_while_teaching(small_disk: Path) -> None:
    state = small_disk / "state"
    learner = open_learner(state)
    for i in range(6):
        learner.teach(embedding(i, i % 2), f"class {i % 2}", source="test")
    before = learner.network_state()
    # a mount with files open for writing cannot be made read-only; what the log holds is copied as after a power cut
    for name in ("examples.sqlite", "examples.sqlite-wal"):
        (small_disk / "cut").mkdir(exist_ok=True)
        shutil.copy(state / name, small_disk / "cut" / name)
    learner.close()
    _remount(small_disk, "ro")
    try:
        with open_learner(small_disk / "cut", read_only=True) as reader:
            assert reader.network_state() == before
    finally:
        _remount(small_disk, "rw")


def test_a_file_size_limit_refuses_and_keeps(tmp_path: Path) -> None:
    with open_learner(tmp_path / "state") as learner:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        try:
            taught, message = _teach_until_refused(learner)
            assert taught > 5
            assert "unchanged" in message
            before = learner.network_state()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(learner.examples()) == taught
        learner.teach(embedding(77), "mug", source="test")
        learner.undo()
        assert learner.network_state() == before == clean_replay(tmp_path / "state")


PERMISSION = """
import os, sys, tempfile, urllib.parse  # while everything can still be read
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from support.simple_network import embedding, open_learner
from edge_app.errors import StateNotWritable
if os.getuid() == 0:
    os.setuid(65534)
with open_learner(Path(sys.argv[1]), read_only=True) as reader:
    print(reader.labels)
for folder in (sys.argv[1], sys.argv[1] + "/new"):
    try:
        open_learner(Path(folder))
    except StateNotWritable as error:
        print(error)
"""


def test_a_folder_without_permission_can_be_asked_but_not_taught() -> None:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        with open_learner(state) as learner:
            learner.teach(embedding(1), "mug", source="test")
        for path in (*state.rglob("*"), state, Path(name)):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", PERMISSION, str(state), *sys.path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        Path(name).chmod(0o755)
        state.chmod(0o755)
        (state / "snapshots").chmod(0o755)
    assert done.returncode == 0, done.stderr
    labels, *messages = done.stdout.splitlines()
    assert labels == "('mug',)", done.stderr
    assert len(messages) == 2
    assert all("permission denied" in message for message in messages)


def test_embeddings_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "examples.sqlite"
    with Store.create(path, binding()._replace(embedding_size=SIZE + 1)) as store:
        store.commit("teach", 0, add=[new(1)])
    with pytest.raises(StateCorrupt, match="not 33"):
        Store.open(path)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("examples_by_label", "examples_by_label does not agree"),
        ("presentations_by_example", "presentations_by_example"),
    ],
)
def test_an_index_that_finds_other_rows_is_refused(path: Path, index: str, words: str) -> None:
    db = sqlite3.connect(path)
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    data = bytearray(path.read_bytes())
    start = (page - 1) * size
    found = data[start : start + size]
    if index == "examples_by_label":
        place = found.index(b"mug")
        found[place : place + 3] = b"mog"
    else:
        found[-1] ^= 1  # the last bytes of a page are those of its first cell
    data[start : start + size] = found
    path.write_bytes(data)
    for opening in (Store.open, Store.reader):
        with pytest.raises(StateCorrupt, match=words):
            opening(path)
    assert path.read_bytes() == bytes(data)
