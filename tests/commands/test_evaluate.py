import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app import cli
from support.models import write_tiny
from support.pictures import fill, zipped


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A data set of three colours: 8 pictures each, one of them corrupt."""
    folder = fill(tmp_path / "colours", count=8)
    (folder / "red" / "9.jpg").write_bytes(b"no picture")
    return folder


def test_writes_json_and_picture_and_prints_a_table(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, plot = tmp_path / "r.json", tmp_path / "r.png"
    assert cli.run(["evaluate", str(colours), "--json", str(target), "--plot", str(plot)]) == 0
    values = json.loads(target.read_text())
    assert values["classes"] == ["blue", "green", "red"]
    assert values["n_train"] + values["n_test"] == 24
    assert values["accuracy"] == 1.0
    assert values["baselines"]["nearest_class_mean"] == 1.0
    assert 0 <= values["unknown_rate"] <= 1
    assert set(values["per_class"]) == {"blue", "green", "red"}
    for stage in ("preprocess", "encode", "rate_code", "decide", "learn"):
        assert 0 < values["ms"][stage]["p50"] <= values["ms"][stage]["p95"]
    assert values["skipped"][0]["name"] == "red/9.jpg"
    assert len(values["model"]["sha256"]) == 64
    assert plot.read_bytes().startswith(b"\x89PNG")
    captured = capsys.readouterr()
    assert "CoLaNET" in captured.out
    assert "nearest class mean" in captured.out
    assert "1 image skipped" in captured.out
    assert "red/9.jpg" in captured.out


def test_json_on_standard_output_stands_alone(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", str(colours), "--json", "-", "--baselines", "none"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["baselines"] == {}


def test_pictures_as_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stripes of another direction for each class; a flat picture has no events and is left out."""
    for label, axis in (("across", 0), ("down", 1)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(6):
            stripes = ((np.indices((96, 96))[axis] + number) // 6 % 2 * 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "set" / label / f"{number}.png"), stripes)
    cv2.imwrite(str(tmp_path / "set" / "across" / "flat.png"), np.full((96, 96), 80, np.uint8))
    assert cli.run(["evaluate", str(tmp_path / "set"), "--events", "--json", "-"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["events"] is True
    assert values["accuracy"] == 1.0
    assert [(one["name"], "expected at least 1000" in one["reason"]) for one in values["skipped"]] == [
        ("across/flat.png", True)
    ]
    assert values["ms"]["events"]["p50"] > 0


def test_a_model_of_events_is_evaluated_on_events_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, axis in (("across", 0), ("down", 1)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(6):
            stripes = ((np.indices((32, 32))[axis] + number) // 4 % 2 * 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "set" / label / f"{number}.png"), stripes)
    model = str(write_tiny(tmp_path / "models", colour="red-blue"))
    command = ["evaluate", str(tmp_path / "set"), "--model", model, "--json", "-"]
    assert cli.run(command) == 2
    assert "takes events drawn in red-blue, not pictures: add --events" in capsys.readouterr().err
    assert cli.run([*command, "--events"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n_train"], values["skipped"]) == (10, [])
    assert values["ms"]["events"]["p50"] > 0


def test_shots_and_repeats_of_a_zip(colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(colours, tmp_path / "colours.zip")
    cache = str(tmp_path / "cache")
    command = ["evaluate", str(path), "--shots", "2", "--repeats", "3", "--seed", "7", "--cache", cache, "--json", "-"]
    assert cli.run(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert [trial["seed"] for trial in first["trials"]] == [7, 8, 9]
    assert first["n_train"] == 6
    assert cli.run(command) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["trials"] == first["trials"]
    assert second["confusion"] == first["confusion"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nothing"], "no such folder or archive"),
        (["{}", "--test", "red"], "--test red: no such split"),
        (["{}", "--shots", "0"], "shots = 0: expected at least 1"),
        (["{}", "--params", "nonsense"], "nonsense"),
        (["{}", "--baselines", "svm"], "baseline svm"),
        (["{}", "--json", "{}/nowhere/r.json"], "no folder"),
        (["{}", "--plot", "{}/r.jpg"], "ends in .png"),
        (["{}", "--cache", "{}/red/0.png"], "embedding cache"),
        (["{}", "--rehearse", "5"], "--rehearse belongs to --protocol continual, not to standard"),
        (["{}", "--protocol", "openset", "--passes", "2"], "--passes belongs to --protocol standard or noisy"),
        (["{}", "--protocol", "noisy", "--noise", "10"], "--noise 10: expected shares from 0 to 1"),
        (["{}", "--protocol", "continual", "--newcomers", "0"], "--newcomers 0"),
        (["{}", "--protocol", "continual", "--classes-per-task", "0"], "--classes-per-task 0: expected at least 1"),
        (["{}", "--protocol", "continual", "--rehearse", "-1"], "--rehearse -1"),
        (["{}", "--protocol", "openset"], "3 classes, expected at least 4"),
    ],
)
def test_wrong_usage_is_named_with_status_2(
    colours: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.run(["evaluate", *(argument.format(colours) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("edge-app evaluate: ")
    assert captured.out == ""


def test_one_split_alone_names_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("morning", "noon"):
        fill(tmp_path / split, count=2)
    assert cli.run(["evaluate", str(tmp_path), "--test", "noon"]) == 2
    assert "morning, noon" in capsys.readouterr().err
    assert cli.run(["evaluate", str(tmp_path)]) == 2
    assert "morning, noon" in capsys.readouterr().err
    assert cli.run(["evaluate", str(tmp_path), "--train", "morning", "--test", "noon"]) == 0


def test_continual_protocol_shows_both_regimes_and_the_newcomer(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, plot = tmp_path / "c.json", tmp_path / "c.png"
    command = ["evaluate", str(colours), "--protocol", "continual", "--rehearse", "4", "--newcomers", "2"]
    assert cli.run([*command, "--json", str(target), "--plot", str(plot)]) == 0
    values = json.loads(target.read_text())
    assert values["regimes"]["stable"]["final"] == values["regimes"]["stable"]["random_order"] == 1.0
    assert set(values["regimes"]) == {"stable", "plastic"}
    assert values["newcomer"]["newcomer"] == 1.0
    assert plot.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    for text in ("stable", "plastic", "forgetting", "4 rehearsed", "backward transfer", "a class added after all"):
        assert text in out


def test_openset_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "six", ["red", "green", "blue", "grey"], count=6)
    plot = tmp_path / "o.png"
    assert cli.run(["evaluate", str(folder), "--protocol", "openset", "--plot", str(plot)]) == 0
    assert plot.exists()
    out = capsys.readouterr().out
    assert "2 classes taught, 2 others shown" in out
    assert "familiarity" in out
    assert "cosine to class means" in out


def test_noisy_protocol_says_what_is_lost(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(colours), "--protocol", "noisy", "--noise", "0.3", "1", "--baselines", "knn3"]
    assert cli.run(command) == 0
    out = capsys.readouterr().out
    assert "30.0 % wrong" in out
    assert "0.0 (100.0 lost)" in out


def test_consolidation_is_tested_beside_the_single_pass(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = str(tmp_path / "cache")
    command = ["evaluate", str(colours), "--baselines", "none", "--cache", cache]
    assert cli.run([*command, "--json", "-"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert "consolidated" not in plain
    assert cli.run([*command, "--consolidate", "--json", "-"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["confusion"] == plain["confusion"], "the single pass is what it was"
    after = values["consolidated"]
    assert (after["dreams"], after["dreamt"]) == (1, values["n_train"])
    assert after["accuracy"] == pytest.approx(values["accuracy"] + after["gain"][0])
    assert cli.run([*command, "--consolidate", "2"]) == 0
    assert "CoLaNET, 2 dreams of each example" in capsys.readouterr().out
    assert cli.run([*command, "--consolidate", "99"]) == 2
    assert "dreams = 99" in capsys.readouterr().err
    assert cli.run([*command, "--consolidate", "--protocol", "openset"]) == 2


def test_metrics_are_a_table(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", str(colours), "--metrics", "--baselines", "none"]) == 0
    out = capsys.readouterr().out
    assert "a decision: effective ACs" in out
    assert "linear head, float32" in out


@pytest.mark.slow
def test_photographs_of_hands(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """40 photos a digit suffice to tell a working chain from a broken one; chance is 10 %."""
    command = ["evaluate", str(shared_data / "sign_digits.zip"), "--limit", "40", "--json", "-"]
    assert cli.run([*command, "--baselines", "nearest_class_mean,knn3"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n_train"], values["n_test"]) == (320, 80)
    assert values["baselines"]["nearest_class_mean"] > 0.65
    assert values["accuracy"] > 0.6
