"""edge-app spikes, and a spiking model under the commands that serve every model."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_app.cli import run
from edge_app.events.gradient import drawn, events_of_picture
from edge_app.spiking import energy
from support.pictures import fill

tiny = pytest.importorskip("support.tiny_spiking", reason="packing a graph needs ai-edge-litert")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_APP_MODELS", str(tmp_path / "user"))
    tiny.write_model(tmp_path / "user", tiny.spiking_network(0, top=8))
    return tmp_path / "user"


@pytest.fixture
def photograph(tmp_path: Path) -> str:
    path = tmp_path / "photograph.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_every_layer_is_told_and_the_graph_agrees(
    photograph: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raster = tmp_path / "raster.png"
    assert run(["spikes", photograph, "--model", "tiny", "--raster", str(raster)]) == 0
    printed = capsys.readouterr().out
    assert "depthwise 2" in printed
    assert "differences: 0" in printed
    assert raster.read_bytes().startswith(b"\x89PNG")
    assert run(["spikes", photograph, "--model", "tiny", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in values["layers"]][:2] == ["stem", "depthwise 0"]
    assert values["differences"] == 0
    assert 0 < values["effective"] < values["dense"]


def test_streaming_comes_close_to_the_phased_embedding(photograph: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["spikes", photograph, "--model", "tiny", "--streaming", "--steps", "48", "--json"]
    assert run(command) == 0
    values = json.loads(capsys.readouterr().out)
    assert list(values["cosine_to_phased"]) == ["1", "2", "4", "8", "16", "32", "48"]
    assert values["cosine_to_phased"]["48"] > 0.8
    assert values["operations"] > 0
    assert run([*command, "--plain"]) == 0
    assert json.loads(capsys.readouterr().out)["cosine_to_phased"] != values["cosine_to_phased"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "efficientnet_lite0_gaussian"], "is no spiking encoder"),
        (["--model", "tiny", "--streaming", "--steps", "0"], "--steps 0: expected 1 to 4096"),
        (["--model", "tiny", "--raster", "r.jpg"], "ends in .png"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    photograph: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["spikes", photograph, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_model_of_events_is_shown_the_events_of_the_picture(
    photograph: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_model(folder, tiny.spiking_network(0, top=8, size=32), "seeing", colour="red-blue")
    command = ["spikes", photograph, "--model", "seeing", "--json"]
    assert run(command) == 2
    assert "takes events drawn in red-blue, not pictures: add --events" in capsys.readouterr().err
    assert run([*command, "--events"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["differences"] == 0
    assert values["spikes"] > 0


def test_a_spiking_model_is_listed_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny")]
    assert "added, spiking" in line
    assert run(["models", "check", "tiny"]) == 0
    assert "tiny: ok" in capsys.readouterr().out
    assert run(["info", "--model", "tiny"]) == 0
    assert "spiking, phased, 8 to 10 steps a layer" in capsys.readouterr().out


def test_a_model_with_an_even_threshold_is_not_sound(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = tiny.spiking_network(1, top=8)
    object.__setattr__(network.layers[1], "thresholds", network.layers[1].thresholds + 1)  # past its own check
    tiny.write_model(folder, network, "even")
    assert run(["models", "check", "even"]) == 3
    assert "expected odd numbers above 0" in capsys.readouterr().out


def test_evaluate_counts_the_encoders_operations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = fill(tmp_path / "colours", count=6)
    target = tmp_path / "r.json"
    command = ["evaluate", str(data), "--model", "tiny", "--metrics", "--baselines", "none", "--json", str(target)]
    assert run(command) == 0
    assert "additions carried out" in capsys.readouterr().out
    found = json.loads(target.read_text())["metrics"]["encoder"]
    assert 0 < found["effective"] < found["dense"]
    assert found["images"] > 1
    assert found["energy_uj"] == pytest.approx((0.3 * found["current_macs"] + 0.1 * found["effective"]) / 1e6, abs=0.06)


def test_metrics_are_those_of_the_events(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = tiny.spiking_network(0, top=8, size=32)
    tiny.write_model(folder, network, "seeing", colour="red-blue")
    pictures = []
    for number in range(6):
        picture = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        path = tmp_path / "set" / f"kind {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        pictures.append(drawn(events_of_picture(picture), "red-blue"))
    command = ["evaluate", str(tmp_path / "set"), "--model", "seeing", "--events", "--metrics", "--baselines", "none"]
    assert run([*command, "--json", "-"]) == 0
    values = json.loads(capsys.readouterr().out)
    found = values["metrics"]["encoder"]
    assert found["images"] == values["n_test"] == 2
    # one of each kind is tested
    pairs = [energy.measure(network, pair).to_dict() for pair in itertools.product(pictures[::2], pictures[1::2])]
    assert {key: found[key] for key in ("spikes", "effective")} in [
        {key: one[key] for key in ("spikes", "effective")} for one in pairs
    ]
