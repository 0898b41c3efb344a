"""edge-app models, as a person or a program calls it."""

import json
from pathlib import Path

import pytest

from edge_app.cli import run
from edge_app.encoder.model import DEFAULT_MODEL, find_models

MODELS = Path(__file__).parent.parent / "encoder" / "models"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_APP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


def test_from_adding_to_removing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "add", str(MODELS / "classifier_uint8.tflite"), "--name", "mine", "--licence", "MIT"]) == 0
    printed = capsys.readouterr().out
    assert "added mine" in printed
    assert "cut off: FULLY_CONNECTED, SOFTMAX, QUANTIZE" in printed
    assert "no --licence" not in printed

    assert run(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) >= {"mine", DEFAULT_MODEL}
    assert (rows["mine"]["shipped"], rows[DEFAULT_MODEL]["shipped"]) == (False, True)
    assert (rows["mine"]["input_size"], rows["mine"]["embedding_size"], rows["mine"]["licence"]) == (32, 24, "MIT")

    assert run(["models", "list"]) == 0
    assert "32 x 32 RGB -> 24" in capsys.readouterr().out
    assert run(["models", "check"]) == 0
    assert "mine: ok (" in capsys.readouterr().out
    assert run(["models", "remove", "mine", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["removed"]) == 2
    assert "mine" not in find_models()


def test_adding_an_encoder_of_edge_app_says_how_to_use_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "add", "lite0"]) == 0
    printed = capsys.readouterr().out
    assert f"already installed: {DEFAULT_MODEL}" in printed
    assert "edge-app rebuild --state DIR --model lite0" in printed
    assert not folder.exists()
    assert run(["models", "add", "lite0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == DEFAULT_MODEL


def test_a_model_of_events_is_listed_with_its_colours(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["models", "add", str(MODELS / "embedding_uint8.tflite"), "--name", "mine"]
    assert run([*command, "--colour", "red-blue"]) == 0
    assert "32 x 32 red-blue -> 24" in capsys.readouterr().out
    assert run(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["mine"]["input_colour"], rows[DEFAULT_MODEL]["input_colour"]) == ("red-blue", "RGB")
    assert run(["info", "--model", "mine"]) == 0
    assert "32 x 32 red-blue -> 24 values" in capsys.readouterr().out


def test_check_tells_which_model_is_not_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("good", "bad"):
        run(["models", "add", str(MODELS / "embedding_uint8.tflite"), "--name", name])
    capsys.readouterr()
    [model] = folder.glob("bad-*.tflite")
    model.write_bytes(model.read_bytes() + b"\0")
    assert run(["models", "check", "good", "bad", "none", "--json"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["ok"]) for row in rows] == [("good", True), ("bad", False), ("none", False)]
    assert "SHA-256" in rows[1]["error"]
    assert "there are: bad, good" in rows[2]["error"]
    model.unlink()
    assert run(["models", "list"]) == 0
    assert "file missing" in capsys.readouterr().out


def test_a_broken_manifest_does_not_hide_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / "broken.toml").write_text("file = 3")
    assert run(["models", "list"]) == 0
    printed = capsys.readouterr().out
    assert "broken" in printed
    assert "expected a plain file name" in printed
    assert DEFAULT_MODEL in printed


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["add", str(MODELS / "float32.tflite")], 2, "float32"),
        (["add", str(MODELS / "embedding_uint8.tflite"), "--crop", "7"], 2, "--crop 7.0"),
        (
            ["add", str(MODELS / "embedding_uint8.tflite"), "--colour", "BGR"],
            2,
            "--colour BGR: expected RGB or red-blue",
        ),
        (["add", "nowhere.tflite"], 2, "nowhere.tflite cannot be read"),
        (["remove", "nothing"], 3, "no model 'nothing'"),
        (["remove", DEFAULT_MODEL], 2, "shipped"),
    ],
)
def test_errors_go_to_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    assert run(["models", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
