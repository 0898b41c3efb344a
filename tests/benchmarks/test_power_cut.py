"""kill -9 of the real live device while it is taught, a few times; `make power-cut` does it 500 times."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.power_cut import (
    NAMES,
    Loss,
    buttons,
    check_acknowledged,
    check_history,
    check_network,
    cut,
    fill,
    summarise,
)
from edge_app.encoder.model import load_manifest
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.learner import Learner
from edge_app.learner.pictures import thumbnail_of
from edge_app.learner.replay import Trained
from edge_app.learner.state import open_parts
from edge_app.storage.folder import database_path, history_path
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store
from support.visits import visit


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kill_9_of_the_live_device(tmp_path: Path) -> None:
    kills = list(cut(tmp_path, 10, seed=4))
    found = summarise(kills)
    assert found["kills"] == 10
    assert found["acknowledged"] > 10
    assert set(found["phases"]) == {"learning", "recording", "starting", "stopping"}


def test_buttons_press_and_undo_all_the_while() -> None:
    names = [part.partition("@")[0] for part in buttons().removeprefix("sim:").split(",")]
    assert names == [*NAMES, "undo"]


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, list[int]]:
    return tmp_path / "state", fill(tmp_path / "state", 1)


def test_a_loss_is_seen(state: tuple[Path, list[int]]) -> None:
    folder, stored = state
    assert check_acknowledged(folder, stored, []) == (stored, "nothing")
    with pytest.raises(Loss, match="451 was acknowledged, and was never stored: the last one stored is 450"):
        check_acknowledged(folder, stored, [451])
    assert check_acknowledged(folder, stored[:-1], []) == (stored, "example")
    with Learner.open(folder, load_manifest()) as learner:
        learner.teach(np.ones(1280, np.uint8), "disc", source="test")
        learner.undo()
    assert check_acknowledged(folder, stored, [451]) == (stored, "undo")
    with Learner.open(folder, load_manifest()) as learner:
        learner.forget_examples([449, 450])
    with pytest.raises(Loss, match=r"acknowledged and missing: \[449, 450\]"):
        check_acknowledged(folder, stored, [])
    with pytest.raises(Loss, match=r"stored and unexpected: \[447, 448\]"):
        check_acknowledged(folder, stored[:-4], [])


def test_another_network_is_seen(state: tuple[Path, list[int]]) -> None:
    folder, stored = state
    check_network(folder)
    manifest = load_manifest()
    parts = open_parts(folder, manifest)
    assert parts.lock is not None
    with parts.store as store:
        journal = store.journal()
        right, wrong = Trained(parts.factory.new()), Trained(parts.factory.new())
        right.learn(journal, parts.rate_code)
        wrong.learn(journal[::-1], parts.rate_code)
        Snapshots(folder / "snapshots").save(right.key(store.binding), wrong.network.snapshot())
    parts.lock.release()
    with pytest.raises(Loss, match="not that of a clean replay"):
        check_network(folder)
    with Store.reader(database_path(folder)) as store:
        assert len(store.examples()) == len(stored)


def test_a_visit_that_is_gone_changed_or_half_written_is_seen(tmp_path: Path) -> None:
    assert check_history(tmp_path, {}) == {}
    picture = thumbnail_of(np.zeros((32, 32, 3), np.uint8))
    with HistoryStore.open(history_path(tmp_path)) as store:
        records = [VisitRecord(visit(begin_s=n), n == 2, None, picture, b"1") for n in range(3)]
        store.add(records, store.begin_run(), ClockState.UNCHECKED)
        stored = check_history(tmp_path, {})
        assert list(stored) == [3, 2, 1]
        store.add([records[2]._replace(id=3, visit=visit(begin_s=2, duration_s=9))], 1, ClockState.UNCHECKED)
        stored = check_history(tmp_path, stored)
        with pytest.raises(Loss, match="visit 2 was stored as"):
            check_history(tmp_path, stored | {2: stored[2]._replace(frames=9)})
        store.delete_one(1)
        with pytest.raises(Loss, match="visit 1 was stored as"):
            check_history(tmp_path, stored)
        store.add([records[0]._replace(picture=None), records[0]], 1, ClockState.UNCHECKED)
    with closing(sqlite3.connect(history_path(tmp_path))) as db, db:
        db.execute("UPDATE pictures SET jpeg = substr(jpeg, 1, length(jpeg) - 5)")
    with pytest.raises(Loss, match="bytes of pictures"):
        check_history(tmp_path, {})
