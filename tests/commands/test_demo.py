"""`edge-app demo`, whole: the real encoder, classifier and storage."""

import json
from pathlib import Path

import cv2
import pytest

from edge_app import cli
from support.models import write_tiny

pytest.importorskip("skimage", reason="needs scikit-image: pip install 'edge-app[demo]'")


def test_the_demo_learns_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    status = cli.run(
        ["demo", "--json", "--shots", "3", "--frames", "24", "--out", str(tmp_path), "--state", str(state)]
    )
    captured = capsys.readouterr()
    assert status == 0
    result = json.loads(captured.out)
    assert "Name: new poses" in captured.err
    assert result["naming"]["total"] == 24
    assert result["naming"]["accuracy"] >= 0.6  # chance is 0.125
    assert result["undo_exact"] is True
    assert result["examples"] == 25
    assert cv2.imread(result["picture"]) is not None
    assert any(state.iterdir())

    assert cli.run(["demo", "--out", str(tmp_path), "--state", str(state)]) == 2
    assert "holds 9 classes already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_as_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "--events", "--json", "--shots", "2", "--frames", "8", "--out", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["undo_exact"] is True
    assert result["naming"]["total"] == 8


def test_a_model_of_events_is_shown_events_in_its_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_tiny(tmp_path / "models", colour="red-blue"))
    command = ["demo", "--model", model, "--json", "--shots", "1", "--frames", "8", "--out", str(tmp_path)]
    assert cli.run(command) == 2
    assert "takes events drawn in red-blue, not pictures: add --events" in capsys.readouterr().err
    assert cli.run([*command, "--events"]) == 0
    assert json.loads(capsys.readouterr().out)["undo_exact"] is True
    sheet = cv2.imread(str(tmp_path / "demo.png"))
    blue, red = ((sheet[:, :, channel] > 200) & (sheet[:, :, 1] < 50) for channel in (0, 2))
    assert blue.any()
    assert red.any()


@pytest.mark.slow
def test_two_runs_differ_in_their_times_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for _ in range(2):
        assert cli.run(["demo", "--json", "--seed", "5", "--shots", "1", "--frames", "8", "--out", str(tmp_path)]) == 0
        result = json.loads(capsys.readouterr().out)
        runs.append({key: value for key, value in result.items() if key not in ("ms", "seconds")})
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shots", "0"], "shots = 0, expected 1 to 100"),
        (["--seed", "-1"], "seed = -1"),
        (["--out", "/dev/null/here"], "--out /dev/null/here: cannot write there"),
    ],
)
def test_bad_options_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", *arguments]) == 2
    assert message in capsys.readouterr().err
