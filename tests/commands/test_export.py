"""export and import between two devices, with the same encoder and with another."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.encoder.model import load_manifest
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store

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
    assert "does not exist" in capsys.readouterr().err
    assert cli.run(["export", "--state", str(taught), str(tmp_path / "nowhere" / "all.zip")]) == 7
    assert cli.run(["export", "--state", str(tmp_path / "none"), str(tmp_path / "none.zip")]) == 2
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    assert target.stat().st_mode & 0o777 == 0o600


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
