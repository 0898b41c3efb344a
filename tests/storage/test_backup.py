"""A backup holds the whole state; restoring it is all or nothing, whenever it is interrupted."""

import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_app.errors import InputError
from edge_app.history.database import HistoryDamaged
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.storage.backup import CONFIG, MANIFEST, MANIFEST_SUM, Backup, write_backup
from edge_app.storage.database import check_schema
from edge_app.storage.folder import CLASS_REFERENCES, DATABASE, HISTORY, RULES, database_path, history_path
from edge_app.storage.restore import MOVING, OLD, READY, StagedRestore, complete_restore, next_database
from edge_app.storage.store import Store
from support.lying_zip import BOMB, claiming, within
from support.simple_network import clean_replay, embedding, open_learner
from support.visits import visit

MOST = 64 << 20
THUMBNAIL = b"\xff\xd8\xff thumbnail"


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A state with history, corrections and a file beside the database."""
    folder = tmp_path / "taught"
    with open_learner(folder) as learner:
        for number in range(6):
            learner.teach(embedding(number, number % 2), "ab"[number % 2], source="test", thumbnail=THUMBNAIL)
        learner.relabel(1, "c")
        learner.forget_example(2)
    (folder / CLASS_REFERENCES).write_text('{"version": 1}')
    (folder / "tokens.json").write_text("secret")
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another device's state."""
    folder = tmp_path / "other"
    with open_learner(folder) as learner:
        learner.teach(embedding(77), "mine", source="test")
    return folder


def back_up(folder: Path, target: Path, config: str = "") -> Path:
    with target.open("wb") as file:
        write_backup(folder, file, config, 7)
    return target


def restore(file: Path, folder: Path) -> Path | None:
    folder.mkdir(exist_ok=True)
    with Backup(file, MOST) as backup, StagedRestore(folder, backup) as staged:
        staged.commit()
    return complete_restore(folder)


def content(folder: Path) -> tuple[Any, ...]:
    with Store.reader(database_path(folder)) as store:
        store.check()
        return store.examples(), store.history(), store.presentations(), store.binding


def rewritten(file: Path, change: Callable[[dict[str, bytes]], None], *, sums: bool = True) -> Path:
    """A copy of a backup with other entries; with `sums` the manifest says what they are."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    if sums and MANIFEST in entries:
        manifest = json.loads(entries[MANIFEST])
        for name in manifest["files"]:
            if name in entries:
                data = entries[name]
                manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        entries[MANIFEST] = json.dumps(manifest).encode()
        entries[MANIFEST_SUM] = hashlib.sha256(entries[MANIFEST]).hexdigest().encode()
    target = file.with_name("rewritten.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return target


def test_a_backup_is_the_whole_state_on_another_board(taught: Path, tmp_path: Path) -> None:
    file = back_up(taught, tmp_path / "b.zip", "[web]\nport = 1\n")
    assert b"secret" not in file.read_bytes()
    folder = tmp_path / "new"
    assert restore(file, folder) is None
    assert content(folder) == content(taught)
    assert (folder / CLASS_REFERENCES).read_text() == '{"version": 1}'
    with Backup(file, MOST) as backup:
        assert (backup.config, backup.created_ns) == ("[web]\nport = 1\n", 7)
    with open_learner(folder) as learner, open_learner(taught) as original:
        assert learner.network_state() == original.network_state() == clean_replay(folder)
        assert learner.undo() == original.undo()
        assert learner.network_state() == original.network_state()


def test_the_state_that_was_there_is_kept_aside_and_whole(taught: Path, other: Path, tmp_path: Path) -> None:
    before = content(other)
    aside = restore(back_up(taught, tmp_path / "b.zip"), other)
    assert aside == other / "before-restore-1"
    assert content(other) == content(taught)
    assert content(aside) == before
    again = restore(back_up(taught, tmp_path / "c.zip"), other)
    assert again == other / "before-restore-2"


def test_the_switches_of_the_rules_come_to_a_new_device_and_stay_on_one_that_has_some(
    taught: Path, other: Path, tmp_path: Path
) -> None:
    """They are those of all places, and what was taught that of one group."""
    (taught / RULES).write_text('{"of": "the backup"}')
    file = back_up(taught, tmp_path / "b.zip")
    assert restore(file, tmp_path / "new") is None
    assert (tmp_path / "new" / RULES).read_text() == '{"of": "the backup"}'
    (other / RULES).write_text('{"of": "the device"}')
    assert restore(file, other) == other / "before-restore-1"
    assert (other / RULES).read_text() == '{"of": "the device"}'
    assert content(other) == content(taught)


def test_a_backup_is_written_beside_a_writer(taught: Path, tmp_path: Path) -> None:
    with open_learner(taught) as learner:
        learner.teach(embedding(50), "late", source="test")
        file = back_up(taught, tmp_path / "b.zip")
        learner.teach(embedding(51), "later", source="test")
    with Backup(file, MOST) as backup, StagedRestore(tmp_path, backup) as staged:
        assert staged.state.classes == {"c": 1, "a": 2, "b": 2, "late": 1}
    assert not list(tmp_path.glob(".restore-*"))
    assert not list(taught.glob(".export-*"))


@pytest.mark.parametrize("steps", range(14))
def test_a_restore_that_is_interrupted_at_any_rename_is_completed_by_the_next_start(
    taught: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    file, before = back_up(taught, tmp_path / "b.zip"), content(other)
    rename, done = Path.rename, [0]

    def counted(self: Path, target: Path) -> Path:
        if done[0] == steps:
            raise KeyboardInterrupt
        done[0] += 1
        return rename(self, target)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(Path, "rename", counted)
        restore(file, other)
    committed = done[0] > 0
    if committed:
        assert next_database(other).is_file()
    with open_learner(other) as learner:
        assert set(learner.classes()) == ({"a", "b", "c"} if committed else {"mine"})
    assert content(other) == (content(taught) if committed else before)
    if committed:
        assert content(other / "before-restore-1") == before
    assert not [name for name in (READY, MOVING, OLD) if (other / name).exists()]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("change", "sums", "words"),
    [
        (lambda e: e.update({DATABASE: flipped(e[DATABASE], 5000)}), False, "fails its checksum"),
        (lambda e: e.update({DATABASE: flipped(e[DATABASE], len(e[DATABASE]) - 60)}), True, "cannot be restored"),
        (lambda e: e.update({DATABASE: e[DATABASE][:8192]}), True, "b.zip|rewritten.zip|not a database"),
        (lambda e: e.update({DATABASE: b"not a database at all"}), True, "not a database"),
        (lambda e: e.pop(DATABASE), False, "'examples.sqlite' is missing"),
        (lambda e: e.update({"../evil": b""}), False, "'../evil' is not expected"),
        (lambda e: e.pop(MANIFEST), False, "'backup.json' is missing"),
        (lambda e: e.update({MANIFEST: e[MANIFEST] + b" "}), False, "fails its checksum"),
        (lambda e: e.update({MANIFEST: b'{"format": "x", "files": {}}'}), True, "not a backup"),
        (
            lambda e: e.update({MANIFEST: e[MANIFEST].replace(b'"version": 1', b'"version": 9')}),
            True,
            "update edge-app",
        ),
        (lambda e: e.update({CLASS_REFERENCES: bytes(5 << 20)}), True, "unpacks to"),
    ],
)
def test_what_is_damaged_or_forged_is_refused_and_changes_nothing(
    taught: Path, other: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], sums: bool, words: str
) -> None:
    before, files = content(other), sorted(path.name for path in other.iterdir())
    file = rewritten(back_up(taught, tmp_path / "b.zip"), change, sums=sums)
    with pytest.raises(InputError, match=words):
        restore(file, other)
    assert content(other) == before
    assert sorted(path.name for path in other.iterdir()) == files


def test_a_database_with_a_trigger_is_refused(taught: Path, other: Path, tmp_path: Path) -> None:
    def add_trigger(entries: dict[str, bytes]) -> None:
        path = tmp_path / "forged.sqlite"
        path.write_bytes(entries[DATABASE])
        db = sqlite3.connect(path)
        db.execute("CREATE TRIGGER gone AFTER INSERT ON examples BEGIN DELETE FROM examples; END")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        entries[DATABASE] = path.read_bytes()

    file = rewritten(back_up(taught, tmp_path / "b.zip"), add_trigger)
    with pytest.raises(InputError, match="CREATE TRIGGER gone"):
        restore(file, other)


@pytest.mark.parametrize(
    "path",
    # the history is a database of its own
    sorted(path for path in (Path(__file__).parent / "golden").rglob("*.sqlite") if path.name != HISTORY),
    ids=lambda path: path.name,
)
def test_databases_of_older_versions_have_a_known_schema(path: Path, tmp_path: Path) -> None:
    shutil.copyfile(path, tmp_path / DATABASE)
    check_schema(tmp_path / DATABASE)


def test_files_that_are_too_large_or_no_backup_are_refused(taught: Path, tmp_path: Path) -> None:
    file = back_up(taught, tmp_path / "b.zip")
    with pytest.raises(InputError, match="expected a whole number"):
        Backup(file, 1000)
    for data, words in ((b"", "zip"), (b"PK\3\4 none", "zip")):
        (tmp_path / "none.zip").write_bytes(data)
        with pytest.raises(InputError, match=words):
            Backup(tmp_path / "none.zip", MOST)
    with pytest.raises(InputError, match="No such file"):
        Backup(tmp_path / "nowhere.zip", MOST)
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(InputError, match="is a named pipe, expected a file"):
        Backup(tmp_path / "pipe.zip", MOST)


def test_an_entry_that_holds_more_than_it_claims_is_refused_in_little_memory(
    taught: Path, other: Path, tmp_path: Path
) -> None:
    good = back_up(taught, tmp_path / "b.zip")
    with zipfile.ZipFile(good) as archive:
        assert set(archive.namelist()) == {DATABASE, CLASS_REFERENCES, CONFIG, MANIFEST, MANIFEST_SUM}
        entries = {name: archive.read(name) for name in (MANIFEST, MANIFEST_SUM, CONFIG, CLASS_REFERENCES)}
        size = len(archive.read(DATABASE))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
        with archive.open(DATABASE, "w") as entry:
            for _ in range(BOMB >> 20):
                entry.write(bytes(1 << 20))
    lying = tmp_path / "lying.zip"
    lying.write_bytes(claiming((tmp_path / "bomb.zip").read_bytes(), DATABASE, size))
    with within(16 << 20), pytest.raises(InputError, match="cannot be restored"):
        restore(lying, other)


def record(folder: Path, *labels: str) -> None:
    with HistoryStore.open(history_path(folder)) as store:
        records = [VisitRecord(visit(label), False, None, THUMBNAIL, b"1") for label in labels]
        store.add(records, store.begin_run(), ClockState.UNCHECKED)


def seen(folder: Path) -> list[str | None]:
    with HistoryStore.reader(history_path(folder)) as store:
        return [one.label for one in store.visits()]


def test_visits_are_in_a_backup_on_request_and_replace_those_there(taught: Path, other: Path, tmp_path: Path) -> None:
    record(taught, "a", "b")
    record(other, "mine")
    assert HISTORY not in zipfile.ZipFile(back_up(taught, tmp_path / "without.zip")).namelist()
    aside = restore(tmp_path / "without.zip", other)
    assert not history_path(other).exists(), "its visits name examples that were replaced"
    assert aside is not None
    assert seen(aside) == ["mine"]
    record(other, "since then")
    with (tmp_path / "with.zip").open("wb") as file:
        write_backup(taught, file, "", 7, history=True)
    aside = restore(tmp_path / "with.zip", other)
    assert seen(other) == ["b", "a"]
    assert aside is not None
    assert seen(aside) == ["since then"]


def test_a_history_with_a_trigger_of_its_own_is_not_opened(taught: Path) -> None:
    record(taught, "a")
    with closing(sqlite3.connect(history_path(taught))) as db, db:
        db.execute("CREATE TRIGGER evil AFTER INSERT ON visits BEGIN DELETE FROM visits; END")
    with pytest.raises(HistoryDamaged, match="does not make"):
        HistoryStore.open(history_path(taught))
