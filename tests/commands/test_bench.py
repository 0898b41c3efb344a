import json
from pathlib import Path

import pytest

from edge_app import cli

STAGES = ("encoder_invoke_ms", "preprocess_ms", "rate_code_ms", "decide_ms", "learn_ms", "frame_ms")


@pytest.mark.slow
def test_measures_every_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bench.json"
    assert cli.run(["bench", "--quick", "--classes", "3", "--examples", "3", "--json", str(target)]) == 0
    values = json.loads(target.read_text())
    for stage in STAGES:
        assert 0 < values[stage]["p50"] <= values[stage]["p95"]
    live = values["sustained"]
    assert live["live_to_bare"] == pytest.approx(live["live_fps"] / live["bare_fps"])
    assert live["live_fps"] > 0
    assert live["press_to_learnt_ms"]["p50"] > 0
    assert live["slowest_frame_ms"] > 0
    assert live["places"].keys() == {"2", "4", "8"}
    assert all(found["fps"] > 0 and found["to_one"] > 0.2 for found in live["places"].values())
    assert values["rss_mb"] > 20
    assert values["startup_s"] > 0.05
    assert values["machine"]["cores"] >= 1
    assert values["classes"] == 3
    assert values["spikes_per_presentation"] > 100
    shown = capsys.readouterr().out
    assert "whole frame" in shown
    assert "live loop" in shown
    assert "with 8 places" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "0"], "classes = 0: expected at least 1"),
        (["--json", "/nowhere/bench.json"], "no folder"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_folder_without_photographs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "--images", str(tmp_path)]) == 2
    assert "no picture there" in capsys.readouterr().err
