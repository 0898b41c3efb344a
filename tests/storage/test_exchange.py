"""Export and import: what goes out comes in elsewhere; what comes from outside is checked before it is used."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.config import StateConfig
from edge_app.errors import InputError, StateNotWritable
from edge_app.learner import Learner
from edge_app.storage import exchange
from edge_app.storage.exchange import Archive
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.lying_zip import bomb, claiming, crowded, within
from support.simple_network import clean_replay, embedding, export, open_learner, present_again


def _fill(learner: Learner) -> None:
    for i in range(9):
        picture = b"picture %d" % i if i % 4 else None
        learner.teach(embedding(i, i % 3), ("mug", "pen", "cup")[i % 3], source=f"file {i}", thumbnail=picture)
    present_again(learner, [2, 1])


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    with open_learner(tmp_path / "from") as learner:
        _fill(learner)
    with Store.reader(database_path(tmp_path / "from")) as store:
        assert export(store, tmp_path / "all.zip") == 9
        assert export(store, tmp_path / "pen.zip", ["pen"]) == 3
    return tmp_path / "all.zip"


def _adopt(learner: Learner, path: Path) -> int:
    with Archive(path) as archive:
        action = learner.import_examples(archive.examples, order=archive.order, thumbnail=archive.thumbnail)
    return len(action.changes) if action else 0


def test_all_of_it_makes_the_same_network_elsewhere(exported: Path, tmp_path: Path) -> None:
    with open_learner(tmp_path / "to") as learner:
        assert _adopt(learner, exported) == 9
        assert learner.network_state() == clean_replay(tmp_path / "from") == clean_replay(tmp_path / "to")
        with Store.reader(database_path(tmp_path / "from")) as store:
            kept = [one._replace(id=0, source=f"import: {one.source}", before=None) for one in store.examples()]
            assert [one._replace(id=0) for one in learner.examples()] == kept
            assert any(one.before for one in store.examples())
        assert learner.thumbnail(2) == b"picture 1"
        assert learner.thumbnail(1) is None
        assert _adopt(learner, exported) == 0  # what is known already is left out
        learner.undo()
        assert learner.examples() == []


def test_one_class_joins_others(exported: Path, tmp_path: Path) -> None:
    with open_learner(tmp_path / "to") as learner:
        learner.teach(embedding(70, 5), "key", source="test")
        assert _adopt(learner, exported.with_name("pen.zip")) == 3
        assert learner.classes() == {"key": 1, "pen": 3}
        assert learner.network_state() == clean_replay(tmp_path / "to")
        assert _adopt(learner, exported) == 6
        assert learner.classes() == {"key": 1, "pen": 3, "mug": 3, "cup": 3}
        assert learner.network_state() == clean_replay(tmp_path / "to")


def test_the_same_examples_give_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    with Store.reader(database_path(tmp_path / "from")) as store:
        export(store, tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == exported.read_bytes()
        with pytest.raises(InputError, match="of class 'dog'"):
            export(store, tmp_path / "dog.zip", ["dog"])


def test_a_file_of_an_edge_app_that_told_no_predictions_is_taken(exported: Path, tmp_path: Path) -> None:
    def forget(manifest: dict[str, object]) -> None:
        for row in manifest["examples"]:  # type: ignore[attr-defined]
            row.pop("before")

    old = _rewritten(exported, _manifest(forget))
    with open_learner(tmp_path / "to") as learner:
        assert _adopt(learner, old) == 9
        assert {example.before for example in learner.examples()} == {None}


def test_an_import_that_does_not_fit_is_refused_as_a_whole(exported: Path, tmp_path: Path) -> None:
    with open_learner(tmp_path / "to", limits=StateConfig(examples_per_class=2)) as learner:
        with pytest.raises(StateNotWritable, match="'mug' would hold 3"):
            _adopt(learner, exported)
        assert learner.examples() == []
        learner.limits = StateConfig(disk_mb=1)
        with Archive(exported) as archive, pytest.raises(StateNotWritable, match="cap is 1048576"):
            learner.import_examples(archive.examples, thumbnail=archive.thumbnail, thumbnail_bytes=1 << 20)
        assert learner.examples() == []


# Files that nobody should trust


def _rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy with other entries, whose manifest's checksum is right, unless `change` says otherwise."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return target


def _manifest(change: Callable[[dict[str, object]], object]) -> Callable[[dict[str, bytes]], None]:
    def apply(entries: dict[str, bytes]) -> None:
        manifest = json.loads(entries[exchange.MANIFEST])
        change(manifest)
        entries[exchange.MANIFEST] = json.dumps(manifest).encode()
        entries[exchange.MANIFEST_SUM] = hashlib.sha256(entries[exchange.MANIFEST]).hexdigest().encode()

    return apply


def _example(**values: object) -> Callable[[dict[str, bytes]], None]:
    return _manifest(lambda manifest: manifest["examples"][0].update(values))  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: entries.update({"../../etc/passwd": b"x"}), "is not expected in it"),
        (lambda entries: entries.update({"/etc/passwd": b"x"}), "is not expected in it"),
        (lambda entries: entries.update({"thumbnails/": b""}), "is not expected in it"),
        (lambda entries: entries.update({"thumbnails/../x": b""}), "is not expected in it"),
        (lambda entries: entries.update({"thumbnails/99.jpg": b""}), "is not expected in it"),
        (lambda entries: entries.pop("thumbnails/1.jpg"), "missing"),
        (lambda entries: entries.pop(exchange.MANIFEST), "not an export of edge-app"),
        (lambda entries: entries.pop(exchange.MANIFEST_SUM), "not an export of edge-app"),
        (lambda entries: entries.pop(exchange.EMBEDDINGS), "missing"),
        (lambda entries: entries.update({"thumbnails/1.jpg": b"other picture"}), "1.jpg fails its checksum"),
        (lambda entries: entries.update({exchange.EMBEDDINGS: bytes(9 * 32)}), "fails its checksum"),
        (lambda entries: entries.update({exchange.EMBEDDINGS: bytes(9 * 32 + 1)}), "unpacks to 289 bytes, at most 288"),
        (lambda entries: entries.update({exchange.MANIFEST: b"{}"}), "manifest.json fails its checksum"),
        (_manifest(lambda m: m.clear()), "not an export"),
        (_manifest(lambda m: m.update(version=2)), "version 2"),
        (_manifest(lambda m: m.update(examples=5)), "manifest.json: examples = 5, expected a list of examples"),
        (_manifest(lambda m: m.update(order=[0])), "order"),
        (_manifest(lambda m: m.update(order=[1, 0, 2, 3, 4, 5, 6, 7, 8])), "order"),
        (_manifest(lambda m: m.update(order=[*range(9), 9])), "whole number from 0 to 8"),
        (_manifest(lambda m: m.update(order=[*range(9), True])), "whole number"),
        (_manifest(lambda m: m["encoder"].update(embedding_size=10**9)), "whole number from 1 to 65536"),
        (_manifest(lambda m: m["encoder"].update(embedding_size=16)), "unpacks to"),
        (_example(label=""), "0 characters"),
        (_example(label="a\nb"), "control characters"),
        (_example(label=7), "expected text"),
        (_example(time_ns=1 << 70), "whole number"),
        (_example(time_ns=1.5), "whole number"),
        (_example(source="x" * 2000), "expected text of 0 to 1000 characters"),
        (_example(thumbnail="00"), "missing"),
    ],
)
def test_a_file_with_something_wrong_is_refused_before_anything_is_taken(
    exported: Path, change: Callable[[dict[str, bytes]], None], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Archive(_rewritten(exported, change))
    assert "nothing was taken" in str(caught.value)


def test_an_unchanged_copy_is_taken(exported: Path) -> None:
    with Archive(_rewritten(exported, _manifest(lambda _: None))) as archive:
        assert len(archive.examples) == 9
        assert archive.pictures == 6


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(exported: Path) -> None:
    with zipfile.ZipFile(exported, "a") as archive:
        archive.writestr("thumbnails/1.jpg", b"another")
    with pytest.raises(InputError, match="twice"):
        Archive(exported)


def test_a_bomb_is_refused_by_its_size_without_unpacking_it(exported: Path) -> None:
    with zipfile.ZipFile(exported, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as bomb:
        for _ in range(5):
            bomb.write(bytes(1 << 20))
    with pytest.raises(InputError, match=r"has \d+ bytes and unpacks to \d+, at most 1048576 are expected"):
        Archive(exported)

    def deflate(entries: dict[str, bytes]) -> None:
        entries[exchange.MANIFEST_SUM] = b"0" * 1000

    with pytest.raises(InputError, match="unpacks to 1000 bytes, at most 100"):
        Archive(_rewritten(exported, deflate))


def _deflated(path: Path, **entries: bytes) -> Path:
    """A copy with other contents of entries ("_" for "."), all compressed, and with the manifest's checksum."""
    if "manifest_json" in entries:
        entries["manifest_sha256"] = hashlib.sha256(entries["manifest_json"]).hexdigest().encode()
    with zipfile.ZipFile(path) as archive:
        known = {name: archive.read(name) for name in archive.namelist()}
    target = path.with_name("deflated.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (known | {name.replace("_", "."): data for name, data in entries.items()}).items():
            archive.writestr(name, data)
    return target


@pytest.mark.parametrize("entry", [exchange.MANIFEST, exchange.MANIFEST_SUM, exchange.EMBEDDINGS, "thumbnails/1.jpg"])
def test_a_bomb_that_claims_to_be_small_takes_no_memory(exported: Path, entry: str) -> None:
    """The directory says what is expected; what is there unpacks to 64 MB."""
    with zipfile.ZipFile(exported) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    expected = entries.pop(entry)
    forged = bomb(entry, **entries)
    exported.write_bytes(claiming(forged, entry, len(expected), expected))
    with within(1 << 20), pytest.raises(InputError, match=f"{entry}' .*nothing was taken"):
        Archive(exported)


def test_a_crowded_directory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "crowded.zip"
    path.write_bytes(crowded(exchange.ENTRIES_EACH * exchange.ROOM_LIVE + 1))
    with (
        within(4 << 20),
        pytest.raises(InputError, match=r"holds 20001 entries, at most 20000 are read here \(`edge-app"),
    ):
        Archive(path)
    with pytest.raises(InputError, match="it holds 'a' twice"):
        Archive(path, exchange.ROOM)


def test_a_manifest_may_be_as_large_as_the_examples_that_there_is_room_for(exported: Path) -> None:
    """A file of an allowed size that would take thirty times as much memory as objects is not read at all."""
    limit = exchange.manifest_limit(exchange.ROOM_LIVE)
    nested = b'{"examples": [' + b"".join(b"[[%d]]," % (i * 7919 % 99991) for i in range(limit // 9)) + b"0]}"
    assert len(nested) > limit
    forged = _deflated(exported, manifest_json=nested)
    with (
        within(1 << 20),
        pytest.raises(InputError, match=r"at most 5120000 are read here \(`edge-app import` reads more"),
    ):
        Archive(forged)
    with pytest.raises(InputError, match="not an export of edge-app"):
        Archive(forged, exchange.ROOM)
    small = _deflated(exported, manifest_json=nested[: exchange.MANIFEST_FLOOR + 1])
    with within(1 << 20), pytest.raises(InputError, match="at most 65536 are read here"):
        Archive(small, 9)


def test_a_manifest_of_the_longest_names_fits(tmp_path: Path) -> None:
    count = 100
    with open_learner(tmp_path / "from") as learner:
        for number in range(count):
            learner.teach(embedding(number), "茶" * 100, source="page #0123456789abcdef", thumbnail=b"picture")
    with Store.reader(database_path(tmp_path / "from")) as store:
        export(store, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.getinfo(exchange.MANIFEST).file_size < exchange.MANIFEST_EACH * count
    with Archive(tmp_path / "all.zip", count) as archive:
        assert len(archive.examples) == count


def test_embeddings_may_be_as_large_as_the_examples_that_there_is_room_for(exported: Path) -> None:
    """Zeros that unpack to 22 MB out of some 22 kB: 400 examples of the largest embedding."""

    def many(manifest: dict[str, object]) -> None:
        row = manifest["examples"][0] | {"thumbnail": None}  # type: ignore[index]
        zeros = hashlib.sha256(bytes(400 * exchange.MAX_EMBEDDING)).hexdigest()
        manifest.update(examples=[row] * 400, order=[*range(400)], embeddings_sha256=zeros)
        manifest["encoder"].update(embedding_size=exchange.MAX_EMBEDDING)  # type: ignore[attr-defined]

    def change(entries: dict[str, bytes]) -> None:
        _manifest(many)(entries)
        for name in [name for name in entries if name.startswith("thumbnails/")]:
            del entries[name]
        entries[exchange.EMBEDDINGS] = bytes(400 * exchange.MAX_EMBEDDING)

    forged = _rewritten(exported, change)
    with (
        within(4 << 20),
        pytest.raises(InputError, match=r"'embeddings\.bin' unpacks to 26214400 bytes, at most 20480000"),
    ):
        Archive(forged)
    with Archive(forged, exchange.ROOM) as archive:
        assert len(archive.examples) == 400


@pytest.mark.parametrize("again", [4, 5, 100_000])
def test_the_order_may_present_each_example_four_times(exported: Path, tmp_path: Path, again: int) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["order"] = list(range(9)) + [0] * (9 * again - 9)

    forged = _rewritten(exported, _manifest(change))
    if again > 4:
        with pytest.raises(InputError, match=f"9 examples are presented {9 * again} times, expected at most 36"):
            Archive(forged)
        return
    with open_learner(tmp_path / "to") as learner:
        assert _adopt(learner, forged) == 9
        assert learner._store.count_presentations() == 36
        assert learner.network_state() == clean_replay(tmp_path / "to")


def test_pictures_that_unpack_to_much_more_are_refused(exported: Path) -> None:
    """A small file must not become a large folder."""
    forged = _deflated(exported, **{"thumbnails/1_jpg": bytes(2 << 20)})
    with pytest.raises(InputError, match=r"unpacks to \d+, at most 1048576 are expected"):
        Archive(forged)


def test_control_characters_of_another_device_s_encoder_are_not_shown(exported: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["encoder"]["name"] = "\x1b[2J\ud800 x"

    with Archive(_rewritten(exported, _manifest(change))) as archive:
        assert archive.encoder_name == r"\u001b[2J\ud800 x"


def test_more_than_can_be_meant_is_refused(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_TOTAL", 500)
    with pytest.raises(InputError, match=r"unpacks to \d+, at most 500"):
        Archive(exported)


def test_an_encrypted_entry_is_refused(exported: Path) -> None:
    data = bytearray(exported.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the last entry's flags in the central directory
    exported.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        Archive(exported)


def test_another_compression_is_refused(exported: Path) -> None:
    with zipfile.ZipFile(exported, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("extra", b"x" * 100)
    with pytest.raises(InputError, match="compressed"):
        Archive(exported)


def test_deeply_nested_json_is_refused(exported: Path) -> None:
    def nest(entries: dict[str, bytes]) -> None:
        entries[exchange.MANIFEST] = b"[" * 100_000
        entries[exchange.MANIFEST_SUM] = hashlib.sha256(entries[exchange.MANIFEST]).hexdigest().encode()

    with pytest.raises(InputError, match="cannot be read"):
        Archive(_rewritten(exported, nest))


@pytest.mark.parametrize("content", [None, b"", b"PK\x05\x06", b"no zip"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"file\.zip"):
        Archive(path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_refused_or_says_the_same(exported: Path, place: float, bit: int, cut: bool) -> None:
    with Archive(exported) as archive:
        expected = archive.examples, archive.order, [archive.thumbnail(i) for i in range(9)], archive.encoder_sha256
    data = bytearray(exported.read_bytes())
    index = int(place * len(data))
    if cut:
        del data[index:]
    else:
        data[index] ^= 1 << bit
    damaged = exported.with_name("damaged.zip")
    damaged.write_bytes(data)
    try:
        with Archive(damaged) as archive:
            found = archive.examples, archive.order, [archive.thumbnail(i) for i in range(9)], archive.encoder_sha256
    except InputError:
        return
    assert found == expected
