"""export and import between two devices, with the same encoder and with another."""

import csv
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_app import cli
from edge_app.encoder.model import load_manifest
from edge_app.learner.pictures import PictureEncoder
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.example_programs import load_example

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def other_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a second encoder: the same network in a file with other bytes."""
    manifest = load_manifest()
    folder = tmp_path / "models"
    folder.mkdir()
    data = manifest.path.read_bytes() + b"another"
    (folder / "other.tflite").write_bytes(data)
    text = manifest.manifest_path.read_text().replace(manifest.sha256, hashlib.sha256(data).hexdigest())
    for key, value in (("name", manifest.name), ("file", manifest.path.name)):
        text = text.replace(f'{key} = "{value}"', f'{key} = "{value.replace(manifest.name, "other")}"')
    (folder / "other.toml").write_text(text)
    for path in manifest.path.parent.iterdir():
        if path.stem != manifest.path.stem and path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("EDGE_APP_MODELS", str(folder))
    return "other"


def _embeddings(state: Path) -> list[tuple[str, bytes]]:
    with Store.reader(database_path(state)) as store:
        return [(entry.label, entry.embedding) for entry in store.journal()]


def test_a_class_goes_to_another_device(
    taught: Path, tmp_path: Path, photos: dict[str, list[Path]], capsys: Captured
) -> None:
    target = tmp_path / "cat.zip"
    assert cli.run(["export", "--state", str(taught), str(target), "--class", "cat"]) == 0
    assert capsys.readouterr().out.startswith(f"3 examples written to {target}")
    other = tmp_path / "other"
    assert cli.run(["teach", "--state", str(other), "coffee", *map(str, photos["coffee"][:2])]) == 0
    assert cli.run(["import", "--state", str(other), str(target)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["3 examples imported", "classes: coffee (2), cat (3)"]
    assert cli.run(["classify", "--state", str(other), "--json", str(photos["cat"][3])]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"][0]["label"] == "cat"
    assert cli.run(["import", "--state", str(other), str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == {"known": 3, "without_thumbnail": 0}


def test_everything_goes_to_a_new_device_which_is_then_the_same(taught: Path, tmp_path: Path, capsys: Captured) -> None:
    target, other = tmp_path / "all.zip", tmp_path / "other"
    assert cli.run(["export", "--state", str(taught), str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 9
    assert cli.run(["import", "--state", str(other), str(target)]) == 0
    assert _embeddings(other) == _embeddings(taught)
    snapshots = [next(iter((state / "snapshots").glob("*"))).read_bytes() for state in (other, taught)]
    assert snapshots[0][-1000:-32] == snapshots[1][-1000:-32]


def test_what_cannot_be_exported_is_said(taught: Path, tmp_path: Path, capsys: Captured) -> None:
    target = tmp_path / "all.zip"
    target.write_bytes(b"mine")
    assert cli.run(["export", "--state", str(taught), str(target)]) == 2
    assert "exists" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert cli.run(["export", "--state", str(taught), str(target), "--force"]) == 0
    assert cli.run(["export", "--state", str(taught), str(tmp_path / "dog.zip"), "--class", "dog"]) == 2
    assert cli.run(["import", "--state", str(taught), str(tmp_path / "dog.zip")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert cli.run(["export", "--state", str(taught), str(tmp_path / "nowhere" / "all.zip")]) == 7
    assert cli.run(["export", "--state", str(tmp_path / "none"), str(tmp_path / "none.zip")]) == 2
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    assert target.stat().st_mode & 0o777 == 0o600


ODD = ("=1+1", "a/b", "images", "Mug", "mug")
"""Classes that no folder can be called, that a spreadsheet would calculate, or that a reader would refuse."""


@pytest.fixture
def oddly_named(photos: dict[str, list[Path]], tmp_path: Path, capsys: Captured) -> Path:
    """A state with the classes ODD, two examples of each."""
    state = tmp_path / "state"
    files = [file for name in photos for file in photos[name]]
    for number, label in enumerate(ODD):
        assert cli.run(["teach", "--state", str(state), label, *map(str, files[2 * number : 2 * number + 2])]) == 0
    capsys.readouterr()
    return state


def _thumbnails(state: Path) -> list[tuple[str, bytes | None]]:
    with Store.reader(database_path(state)) as store:
        return sorted((example.label, store.thumbnail(example.id)) for example in store.examples())


@pytest.mark.parametrize("target", ["pictures", "pictures.zip"])
def test_class_folders_are_taught_again_as_the_same_examples(
    oddly_named: Path, tmp_path: Path, capsys: Captured, target: str
) -> None:
    out, other = tmp_path / target, tmp_path / "other"
    assert cli.run(["export", "--state", str(oddly_named), "--as", "folders", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"10 examples written to {out}")
    assert cli.run(["teach", "--state", str(other), "--folder", str(out)]) == 0
    assert "export of edge-app, 10 pictures" in capsys.readouterr().out
    assert _thumbnails(other) == _thumbnails(oddly_named)
    assert cli.run(["teach", "--state", str(oddly_named), "--folder", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["taught"] == {}  # all are stored already


def test_the_table_has_everything_known_of_each_example(oddly_named: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "pictures"
    out.mkdir()
    assert cli.run(["export", "--state", str(oddly_named), "--as", "folders", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "examples": 10}
    assert sorted(path.name for path in out.iterdir()) == ["Mug", "_=1+1", "a_b", "examples.csv", "images", "mug (2)"]
    assert out.stat().st_mode & 0o777 == 0o700
    data = (out / "examples.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    with Store.reader(database_path(oddly_named)) as store:
        stored = store.examples()
        for row, example in zip(rows, stored, strict=True):
            assert (out / row["path"]).read_bytes() == store.thumbnail(example.id)
            before = example.before
            assert before is not None
            assert (row["label"].removeprefix("'"), row["source"]) == (example.label, example.source)
            assert abs(datetime.fromisoformat(row["time"]).timestamp() - example.time_ns / 1e9) < 1e-5
            assert row["before"].removeprefix("'") == (before.label or "")
            told = [row[f"before_{name}"] for name in ("classes", "learnt", "excitation", "lead", "novelty")]
            assert told == [str(value) for value in (before.classes, before.learnt, *before[2:4], before.novelty)]
            assert row["presentations"] == "1"
    assert rows[0]["label"] == "'=1+1"


def test_folders_are_written_whole_or_not_at_all(taught: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "pictures"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for options in ([], ["--force"]):
        assert cli.run(["export", "--state", str(taught), "--as", "folders", str(out), *options]) == 2
        assert "only a file is replaced with --force" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    missing = tmp_path / "nowhere" / "pictures"
    assert cli.run(["export", "--state", str(taught), "--as", "folders", str(missing)]) == 7
    with closing(sqlite3.connect(database_path(taught))) as db, db:
        db.execute("UPDATE thumbnails SET jpeg = zeroblob(9) WHERE example = 8")
    db.close()
    assert cli.run(["export", "--state", str(taught), "--as", "folders", str(tmp_path / "new")]) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures", "state"]


def test_one_class_is_exported_as_folders_and_taught_again(taught: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "cats"
    assert cli.run(["export", "--state", str(taught), "--as", "folders", "--class", "cat", str(out)]) == 0
    assert cli.run(["teach", "--state", str(tmp_path / "other"), "--folder", str(out), "--json"]) == 0
    assert '"taught": {"cat": 3}' in capsys.readouterr().out


def test_another_program_decides_with_the_arrays_as_classify_does(
    taught: Path, tmp_path: Path, photos: dict[str, list[Path]], capsys: Captured
) -> None:
    out, noise = tmp_path / "things.npz", tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)).save(noise)
    for strictness in ("0", "0.5", "1"):
        command = ["--state", str(taught), "--strictness", strictness]
        assert cli.run(["export", *command, "--as", "npz", str(out), "--force"]) == 0
        assert capsys.readouterr().out.startswith(f"3 classes written to {out}")
        reader = load_example("read_network")
        network, manifest = reader.load(out), load_manifest()
        assert network["encoder_sha256"] == manifest.sha256
        files = [str(noise), *(str(file) for name in photos for file in photos[name])]
        assert cli.run(["classify", *command, "--json", *files]) == 0
        wanted = [found["label"] for found in json.loads(capsys.readouterr().out)["decisions"]]
        with PictureEncoder(manifest) as encoder:
            found = [reader.decide(network, encoder.read(Path(file)).embedding) for file in files]
        assert found == wanted
        assert found[0] is None
        assert {"cat", "coffee", "astronaut"} <= set(found)


def test_arrays_are_of_the_whole_network_and_the_same_each_time(taught: Path, tmp_path: Path, capsys: Captured) -> None:
    command = ["export", "--state", str(taught), "--as", "npz"]
    assert cli.run([*command, str(tmp_path / "cat.npz"), "--class", "cat"]) == 2
    assert "--as npz writes the whole network" in capsys.readouterr().err
    assert cli.run([*command, str(tmp_path / "x.npz"), "--strictness", "2"]) == 2
    for name in ("one.npz", "two.npz"):
        assert cli.run([*command, str(tmp_path / name), "--json"]) == 0
    assert '"classes": 3' in capsys.readouterr().out
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert cli.run(["rebuild", "--state", str(taught), "--params", "mnist"]) == 0
    assert cli.run([*command, str(tmp_path / "mnist.npz")]) == 2
    assert "rebuild --params default" in capsys.readouterr().err


def test_another_encoder_is_refused_and_offered_the_thumbnails(
    taught: Path, tmp_path: Path, other_model: str, photos: dict[str, list[Path]], capsys: Captured
) -> None:
    target, other = tmp_path / "all.zip", tmp_path / "other-device"
    assert cli.run(["export", "--state", str(taught), str(target)]) == 0
    command = ["import", "--state", str(other), "--model", other_model, str(target)]
    assert cli.run(command) == 3
    message = capsys.readouterr().err
    assert "9 of 9 examples have a thumbnail that --re-encode can use" in message
    assert not other.exists()
    assert cli.run([*command, "--re-encode"]) == 0
    assert "9 examples imported" in capsys.readouterr().out
    labels = [label for label, _ in _embeddings(other)]
    assert labels == [label for label, _ in _embeddings(taught)]
    assert _embeddings(other) != _embeddings(taught)
    assert cli.run(["classify", "--state", str(other), "--json", str(photos["cat"][3])]) == 0  # finds its model itself
    assert json.loads(capsys.readouterr().out)["decisions"][0]["label"] == "cat"


def test_a_state_is_refused_to_another_encoder_and_rebuilt_for_it_on_request(
    taught: Path, other_model: str, photos: dict[str, list[Path]], capsys: Captured
) -> None:
    before = _embeddings(taught)
    picture = str(photos["cat"][3])
    for command in (["classify", picture], ["teach", "cat", picture], ["undo"]):
        assert cli.run([command[0], "--state", str(taught), "--model", other_model, *command[1:]]) == 3
        message = capsys.readouterr().err
        assert "which 9 of 9 have" in message
        assert f"edge-app rebuild --state {taught} --model other" in message
    assert _embeddings(taught) == before
    assert cli.run(["rebuild", "--state", str(taught), "--model", other_model]) == 0
    out = capsys.readouterr().out
    assert "9 examples encoded again from their thumbnails and learnt with other" in out
    assert re.search(r"recognised before they were learnt: \d of \d before, \d of \d now", out)
    (kept,) = taught.glob("before-rebuild-*.sqlite")
    assert str(kept) in out
    with Store.reader(kept) as store:
        assert [(entry.label, entry.embedding) for entry in store.journal()] == before
    assert cli.run(["classify", "--state", str(taught), "--json", picture]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"][0]["label"] == "cat"


def test_other_parameters_are_taken_on_by_a_rebuild_without_loss(
    taught: Path, photos: dict[str, list[Path]], capsys: Captured
) -> None:
    before = _embeddings(taught)
    assert cli.run(["rebuild", "--state", str(taught), "--params", "paper", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["examples"], said["lost"], said["reencoded"]) == (9, 0, False)
    assert _embeddings(taught) == before
    with Store.reader(database_path(taught)) as store:
        assert len(store.history()) == 9
    assert cli.run(["classify", "--state", str(taught), str(photos["cat"][3])]) == 0
    assert cli.run(["undo", "--state", str(taught)]) == 0


def test_recover_leaves_a_healthy_state_alone_and_mends_a_damaged_one(taught: Path, capsys: Captured) -> None:
    assert cli.run(["recover", "--state", str(taught)]) == 0
    assert "not damaged" in capsys.readouterr().out
    path = database_path(taught)
    with Store.reader(path) as store:
        embedding = store.embedding(5)
    path.write_bytes(path.read_bytes().replace(embedding[:40], bytes(40)))
    assert cli.run(["classify", "--state", str(taught), str(path)]) == 5
    assert f"edge-app recover --state {taught}" in capsys.readouterr().err
    assert cli.run(["recover", "--state", str(taught)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("8 examples saved, 1 lost")
    assert str(taught / "damaged-1") in out
    assert cli.run(["examples", "--state", str(taught)]) == 0
    assert "cat (3), coffee (2), astronaut (3)" in capsys.readouterr().out
