"""The encoder's bits and speed, as the doctor tells of them."""

import dataclasses
from itertools import count

import pytest

from edge_app.doctor.findings import Finding
from edge_app.doctor.model import check_model
from edge_app.encoder.model import ModelManifest, load_manifest


def looked(manifest: ModelManifest, board: str | None = None, frame_ms: float = 10.0) -> dict[str, Finding]:
    ticks = count()
    found = check_model(manifest, board, lambda: next(ticks) * frame_ms / 1000)
    return {line.name: line for line in found}


def test_the_shipped_model() -> None:
    found = looked(load_manifest())
    assert {name: line.status for name, line in found.items()} == {"model": "ok", "arithmetic": "ok", "speed": "ok"}
    assert "as in the manifest" in found["arithmetic"].detail
    assert found["speed"].detail == "10.0 ms per frame, 1 thread; expected at most 60 ms"


def test_other_bits() -> None:
    wrong = dict.fromkeys(load_manifest().self_check, "0" * 64)
    line = looked(dataclasses.replace(load_manifest(), self_check=wrong))["arithmetic"]
    assert line.status == "warning"
    assert "expected 0000000000000000" in line.detail
    assert line.advice


def test_nothing_to_compare_with() -> None:
    line = looked(dataclasses.replace(load_manifest(), self_check={}))["arithmetic"]
    assert (line.status, "no digest to compare with" in line.detail) == ("ok", True)


@pytest.mark.parametrize(
    ("board", "frame_ms", "status", "said"),
    [
        (None, 61.0, "warning", "expected at most 60 ms"),
        ("Raspberry Pi 5 Model B Rev 1.0", 61.0, "ok", "expected at most 80 ms"),
        ("Raspberry Pi 5 Model B Rev 1.0", 90.0, "warning", "expected at most 80 ms"),
        ("Raspberry Pi 4 Model B Rev 1.4", 251.0, "warning", "expected at most 250 ms"),
        ("NVIDIA Jetson Orin Nano Developer Kit", 79.0, "ok", "expected at most 80 ms"),
        ("Some other board", 900.0, "ok", "no reference for this board"),
    ],
)
def test_speed(board: str | None, frame_ms: float, status: str, said: str) -> None:
    line = looked(load_manifest(), board, frame_ms)["speed"]
    assert line.status == status
    assert said in line.detail
    assert bool(line.advice) == (status == "warning")


def test_another_model_has_no_figure() -> None:
    line = looked(dataclasses.replace(load_manifest(), name="other"), None, 900.0)["speed"]
    assert (line.status, "no reference" in line.detail) == ("ok", True)
