"""backup and restore, with the real encoder: on another folder, looked at first, with the configuration."""

import json
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.config import load_config
from edge_app.storage.folder import FolderLock, database_path
from edge_app.storage.store import Store
from support.pictures import fill

CONFIG = """\
[camera]
uri = "rtsp://me:s3cret@shelf/1"
[web]
port = 9000
[state]
folder = "/somewhere"
"""


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A state with two classes."""
    state = tmp_path / "taught"
    photos = fill(tmp_path / "photos", ["red", "green"], count=2)
    assert cli.run(["teach", "--state", str(state), "--folder", str(photos)]) == 0
    return state


def classes(state: Path) -> dict[str, int]:
    with Store.reader(database_path(state)) as store:
        return store.classes()


def test_a_device_moves_to_another_board(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, file, new = tmp_path / "config.toml", tmp_path / "b.zip", tmp_path / "new"
    config.write_text(CONFIG)
    assert cli.run(["backup", "--state", str(taught), "--config", str(config), str(file)]) == 0
    assert "4 examples, 2 classes in all" in capsys.readouterr().out
    assert b"s3cret" not in file.read_bytes()
    assert cli.run(["backup", "--state", str(taught), str(file)]) == 2
    assert "--force" in capsys.readouterr().err

    assert cli.run(["restore", "--state", str(new), str(file), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "in the backup: green (2), red (2)" in out
    assert "not in the backup, set by hand: camera.uri, state.folder" in out
    assert "nothing was changed (--dry-run)" in out
    assert not new.exists()

    written = tmp_path / "new.toml"
    written.write_text("[web]\nport = 1\n")
    assert cli.run(["restore", "--state", str(new), "--config", str(written), str(file)]) == 0
    assert classes(new) == {"green": 2, "red": 2}
    assert written.read_text() == "[web]\nport = 9000\n"
    assert (tmp_path / "new.toml.before-restore").read_text() == "[web]\nport = 1\n"
    assert load_config(written, {}).web.port == 9000
    assert cli.run(["classify", "--state", str(new), str(tmp_path / "photos" / "red" / "0.png")]) == 0
    assert cli.run(["undo", "--state", str(new)]) == 0
    assert classes(new) == {"green": 2}


def test_what_is_replaced_is_named_and_kept(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "b.zip"
    assert cli.run(["backup", "--state", str(taught), str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 4
    assert cli.run(["forget", "--state", str(taught), "red"]) == 0
    capsys.readouterr()
    assert cli.run(["restore", "--state", str(taught), str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["restored"], found["replaced"], found["classes"]) == (True, {"green": 2}, {"green": 2, "red": 2})
    assert classes(Path(found["kept_in"])) == {"green": 2}
    assert classes(taught) == {"green": 2, "red": 2}


def test_a_state_in_use_is_not_replaced(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "b.zip"
    lock = FolderLock(taught)
    assert cli.run(["backup", "--state", str(taught), str(file)]) == 0
    assert cli.run(["restore", "--state", str(taught), str(file)]) == 6
    assert "is in use by process" in capsys.readouterr().err
    assert cli.run(["restore", "--state", str(taught), str(file), "--dry-run"]) == 0
    lock.release()


def test_an_encoder_that_is_not_installed_is_named(
    taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.zip"
    assert cli.run(["backup", "--state", str(taught), str(file)]) == 0
    monkeypatch.setattr("edge_app.learner.manifest.installed", lambda _: [])
    assert cli.run(["restore", "--state", str(tmp_path / "new"), str(file)]) == 3
    assert "edge-app models add FILE" in capsys.readouterr().err
    assert not database_path(tmp_path / "new").exists()


def test_a_configuration_of_a_newer_version_is_refused_before_anything_is_changed(
    taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.zip"
    monkeypatch.setattr("edge_app.config.Config.without_passwords", lambda _: {"web": {"hologram": True}})
    (tmp_path / "config.toml").write_text("")
    assert cli.run(["backup", "--state", str(taught), "--config", str(tmp_path / "config.toml"), str(file)]) == 0
    assert cli.run(["restore", "--state", str(tmp_path / "new"), str(file)]) == 2
    assert "unknown key web.hologram" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
