"""Snapshots: whole or refused, and what is refused costs nothing but time."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.errors import StateCorrupt, StateNotWritable
from edge_app.storage import snapshots as module
from edge_app.storage.snapshots import SnapshotKey, Snapshots, pack, unpack
from support.simple_network import SimpleFactory, binding, clean_replay, embedding, open_learner

KEY = SnapshotKey("0.1", "a" * 64, "b" * 64, "c" * 64, 12, "d" * 64)
PAYLOAD = bytes(range(256)) * 5
DATA = pack(KEY, PAYLOAD)
HEADER_END = len(DATA) - len(PAYLOAD) - 32


def test_what_was_packed_is_unpacked() -> None:
    assert unpack(DATA) == (KEY, PAYLOAD)
    assert unpack(pack(KEY, b"")) == (KEY, b"")


def test_every_truncation_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(StateCorrupt):
            unpack(DATA[:length])
    with pytest.raises(StateCorrupt):
        unpack(DATA + b"\0")


def test_every_flipped_bit_of_the_header_and_the_checksum_is_refused() -> None:
    for place in [*range(HEADER_END), *range(len(DATA) - 32, len(DATA))]:
        for bit in range(8):
            data = bytearray(DATA)
            data[place] ^= 1 << bit
            with pytest.raises(StateCorrupt):
                unpack(bytes(data))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(HEADER_END, len(DATA) - 33), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_body_is_refused(place: int, bit: int) -> None:
    data = bytearray(DATA)
    data[place] ^= 1 << bit
    with pytest.raises(StateCorrupt, match="checksum"):
        unpack(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StateCorrupt):
        unpack(data)
    with pytest.raises(StateCorrupt):
        unpack(DATA[:8] + data)


@pytest.mark.parametrize("header", [b"[]", b"{}", b"null", b'{"payload": 3}', b"\xff", b'{"payload": "x"}'])
def test_a_header_that_says_something_else_is_refused(header: bytes) -> None:
    body = module.MAGIC + bytes([module.VERSION]) + len(header).to_bytes(4, "little") + header
    with pytest.raises(StateCorrupt):
        unpack(body + module.hashlib.blake2b(body, digest_size=32).digest())


def test_a_folder_that_looks_like_a_snapshot_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "00000005.snapshot").mkdir()
    snapshots = Snapshots(tmp_path)
    assert snapshots.save(KEY, PAYLOAD).name == "00000006.snapshot"
    assert len(list(snapshots.candidates())) == 1


def test_a_newer_format_is_named() -> None:
    with pytest.raises(StateCorrupt, match="format 2, this edge-app knows 1"):
        unpack(DATA[:7] + b"\2" + DATA[8:])


def test_the_last_two_are_kept_and_the_newest_comes_first(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    for count in range(5):
        snapshots.save(KEY._replace(presentations=count), b"%d" % count)
    assert [key.presentations for _, key, _ in snapshots.candidates()] == [4, 3]


def test_damaged_ones_are_reported_then_replaced_and_a_good_one_is_never_given_up_for_them(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    for count in range(2):
        snapshots.save(KEY._replace(presentations=count), b"%d" % count)
    newest = snapshots.files()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    assert [key.presentations for _, key, _ in snapshots.candidates()] == [0]
    assert list(snapshots.damaged) == [newest]
    snapshots.save(KEY._replace(presentations=7), b"7")
    assert [key.presentations for _, key, _ in snapshots.candidates()] == [7, 0]
    assert not newest.exists()
    assert snapshots.damaged == {}


class Stopped(BaseException):
    """Stands for the end of the process at one point of a save."""


@pytest.mark.parametrize(
    ("step", "call", "saved"), [("fsync", 1, False), ("rename", 1, False), ("fsync", 2, True), ("unlink", 1, True)]
)
def test_a_save_that_ends_at_any_step_leaves_whole_snapshots(
    tmp_path: Path, step: str, call: int, saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = Snapshots(tmp_path)
    for count in range(2):
        snapshots.save(KEY._replace(presentations=count), b"%d" % count)

    done, calls = getattr(os, step), iter(range(1, 100))

    def stop(*names: object, **where: object) -> None:
        if next(calls) >= call:
            raise Stopped
        done(*names, **where)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", stop)  # a process that ends does not clear up either
        patch.setattr(os, step, stop)
        with pytest.raises(Stopped):
            snapshots.save(KEY._replace(presentations=2), PAYLOAD)
    again = Snapshots(tmp_path)
    again.clean()
    assert {path.suffix for path in tmp_path.iterdir()} == {".snapshot"}
    found = [key.presentations for _, key, _ in again.candidates()]
    assert again.damaged == {}
    assert found == ([2, 1, 0] if saved else [1, 0])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StateNotWritable, match="save a snapshot"):
        Snapshots(tmp_path / "file" / "snapshots").save(KEY, PAYLOAD)


# What a learner makes of them


def _taught(folder: Path) -> bytes:
    with open_learner(folder) as learner:
        for i in range(4):
            learner.teach(embedding(i, i % 2), f"class {i % 2}", source="test")
        learner.save()
        for i in range(4, 7):
            learner.teach(embedding(i, i % 2), f"class {i % 2}", source="test")
        return learner.network_state()


def _alter(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flip":
        path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    elif how == "gone":
        path.unlink()
    elif how == "payload":
        path.write_bytes(pack(unpack(data)[0], b"no network"))
    elif how in SnapshotKey._fields:
        key, payload = unpack(data)
        value = key.presentations + 1 if how == "presentations" else "e" * 64
        path.write_bytes(pack(key._replace(**{how: value}), payload))


@pytest.mark.parametrize("how", ["cut", "empty", "flip", "payload", "gone", *SnapshotKey._fields])
def test_a_learner_that_finds_its_snapshot_useless_takes_the_next_or_replays(tmp_path: Path, how: str) -> None:
    before = _taught(tmp_path)
    newest, _ = Snapshots(tmp_path / "snapshots").files()
    _alter(newest, how)
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert learner.network_state() == before == clean_replay(tmp_path)
        assert factory.made == 0
        quiet = how in {"gone", "presentations", "journal_digest"}  # an honest snapshot of another journal
        assert bool(learner.notices) != quiet
        assert quiet or str(newest) in learner.notices[0]
    for path in Snapshots(tmp_path / "snapshots").files():
        _alter(path, how)
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert learner.network_state() == before
        assert factory.made == 1
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert learner.notices == () or how in SnapshotKey._fields
        assert learner.network_state() == before
        assert (factory.made, factory.loaded) == (0, 1)


def test_a_snapshot_of_before_a_correction_is_not_used(tmp_path: Path) -> None:
    _taught(tmp_path)
    with open_learner(tmp_path) as learner:
        learner.save()
        learner.relabel(1, "class 1")
        after = learner.network_state()
        assert after == clean_replay(tmp_path)
        learner._rebuilder.outdate()  # so that closing saves no newer snapshot
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert factory.made == 1
        assert learner.network_state() == after


def test_undoing_the_last_example_resumes_from_the_snapshot_before_it(tmp_path: Path) -> None:
    _taught(tmp_path)
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        learner.undo()
        assert (factory.made, factory.loaded) == (0, 2)
        assert learner.network_state() == clean_replay(tmp_path)


def test_the_header_is_plain_json_so_that_a_person_can_read_it() -> None:
    start = DATA.index(b"{")
    header = json.loads(DATA[start : DATA.index(b"}") + 1])
    assert header["encoder_sha256"] == KEY.encoder_sha256
    assert binding().encoder_sha256 == KEY.encoder_sha256
