"""consolidate, on real photographs with the real encoder and classifier."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge_app import cli
from edge_app.encoder.model import load_manifest
from edge_app.learner import Learner, dreams
from edge_app.learner.pictures import PictureEncoder
from edge_app.storage.folder import FolderLock, database_path
from edge_app.storage.records import Kind
from edge_app.storage.store import Store


def consolidate(state: Path, *options: str) -> int:
    return cli.run(["consolidate", "--state", str(state), *options])


def network(state: Path) -> bytes:
    with Learner.open(state, load_manifest()) as learner:
        return learner.network_state()


def test_all_is_dreamt_once_and_can_be_forgotten(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = network(taught)
    assert consolidate(taught) == 0
    assert capsys.readouterr().out == "9 dreams learnt, 9 in total\n"
    dreaming = network(taught)
    assert consolidate(taught) == 0
    assert capsys.readouterr().out == "0 dreams learnt, 9 in total\n"
    assert network(taught) == dreaming
    assert consolidate(taught, "--forget") == 0
    assert capsys.readouterr().out == "9 dreams forgotten\n"
    assert network(taught) == before
    assert consolidate(taught, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"before": 0, "dreams": 9, "left": 0}
    assert network(taught) == dreaming, "the same dreams again"


def test_a_dream_is_what_the_encoder_makes_of_the_altered_thumbnail(
    taught: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert consolidate(taught, "--dreams", "1") == 0
    manifest = load_manifest()
    with Store.reader(database_path(taught)) as store, PictureEncoder(manifest) as encoder:
        kept = [entry for entry in store.journal() if entry.kind is Kind.DREAM]
        thumbnail = store.thumbnail(1)
        assert thumbnail is not None
        picture = dreams.dream_picture(thumbnail, 0, manifest.input_size)
        made = encoder._encoder.encode(picture)
    assert len(kept) == 9
    assert kept[0].label == "cat"
    assert np.array_equal(np.frombuffer(kept[0].embedding, np.uint8), made)


def test_beyond_the_bounds_there_are_rehearsals(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert consolidate(taught, "--per-class", "4", "--dreams", "3", "--rehearsals", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"before": 0, "dreams": 18, "left": 0}
    with Store.reader(database_path(taught)) as store:
        kinds = [entry.kind for entry in store.journal()]
    assert (kinds.count(Kind.DREAM), kinds.count(Kind.REHEARSAL)) == (3, 15)


def test_it_goes_on_where_it_was_interrupted(
    taught: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    learn_dream = Learner.learn_dream

    def interrupted(self: Learner, task: object, embedding: object) -> bool:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(task)
        return learn_dream(self, task, embedding)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "learn_dream", interrupted)
    assert consolidate(taught) == 130
    monkeypatch.undo()
    assert consolidate(taught, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"before": 5, "dreams": 9, "left": 0}


def test_what_cannot_be_done_is_said(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert consolidate(taught, "--dreams", "17") == 2
    assert "--dreams = 17, expected a whole number from 0 to 16" in capsys.readouterr().err
    assert consolidate(taught, "--forget", "--dreams", "2") == 2
    assert "--forget" in capsys.readouterr().err
    lock = FolderLock(taught)
    try:
        assert consolidate(taught) == 6
    finally:
        lock.release()
