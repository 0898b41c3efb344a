"""`edge-app doctor` as a person runs it: on this machine, and on one whose libraries are broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.commands.doctor import line
from edge_app.doctor.findings import Finding
from support.models import write_tiny

ARGUMENTS = ["doctor", "--camera", "sim:scene=shapes,fps=200", "--buttons", "keyboard:1=cup"]


@pytest.fixture(autouse=True)
def _no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge_app.commands.doctor.SERVICE_CONFIG", tmp_path / "no-config.toml")
    monkeypatch.delenv("EDGE_APP_STATE", raising=False)


def checks(text: str) -> dict[str, str]:
    return {found["name"]: found["status"] for found in json.loads(text)["checks"]}


@pytest.mark.slow
def test_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status = cli.run([*ARGUMENTS, "--state", str(tmp_path), "--json"])
    text = capsys.readouterr().out
    found = checks(text)
    parts = ("board", "power supply", "memory", "clock", "service", "configuration", "temperature", "state", "disk")
    for name in (*parts, "numpy", "numba", "cv2", "PIL", "kernels", "model", "arithmetic", "speed", "camera"):
        assert name in found
    assert (found["camera"], found["buttons"], found["model"], found["state"]) == ("ok", "ok", "ok", "ok")
    assert status == (1 if "failed" in found.values() else 0)
    assert json.loads(text)["ok"] is (status == 0)


@pytest.mark.slow
def test_broken_libraries(tmp_path: Path) -> None:
    """A doctor that needs what is broken cannot say what is broken."""
    for name in ("numba", "cv2"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} was made for another processor')\n")
    done = subprocess.run(
        [sys.executable, "-m", "edge_app", *ARGUMENTS, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    found = checks(done.stdout)
    assert {name for name, status in found.items() if status == "failed"} == {"numba", "cv2", "kernels"}
    assert (found["camera"], found["model"]) == ("ok", "ok")


def test_a_wrong_configuration_is_a_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.doctor.software.LIBRARIES", {})
    config = tmp_path / "config.toml"
    config.write_text("[camera]\nuri = 5\n")
    assert cli.run(["doctor", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert "failed   configuration  " in out
    assert "camera.uri = 5" in out


def test_extras_that_are_switched_on_are_looked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.doctor.software.LIBRARIES", {})
    monkeypatch.setattr("edge_app.doctor.software.EXTRAS", {"web": ("no_module_of_this_name",), "mqtt": ("json",)})
    config = tmp_path / "config.toml"
    config.write_text("[web]\nenabled = true\n[mqtt]\nenabled = true\n")
    assert cli.run([*ARGUMENTS, "--config", str(config), "--json"]) == 1
    found = checks(capsys.readouterr().out)
    assert (found["no_module_of_this_name"], found["json"]) == ("failed", "ok")


def test_a_camera_that_does_not_suit_the_model_is_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.doctor.software.LIBRARIES", {})
    model = write_tiny(tmp_path, colour="red-blue")
    cli.run([*ARGUMENTS, "--model", str(model)])
    assert "warning  camera         camera: it shows pictures, and the model takes events" in capsys.readouterr().out
    cli.run(["doctor", "--camera", "events:sim:scene=still,fps=200,colours=red-blue", "--model", str(model)])
    printed = capsys.readouterr().out
    assert "it shows pictures" not in printed
    assert "ok       camera         640 x 480, 20 frames" in printed, "black without events, and that is in order"


def test_the_services_configuration_is_taken_by_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.doctor.software.LIBRARIES", {})
    (tmp_path / "no-config.toml").write_text("nonsense = 5\n")
    assert cli.run(["doctor"]) == 1
    assert "no-config.toml" in capsys.readouterr().out


def test_a_line() -> None:
    assert line(Finding("disk", "ok", "5 MB")) == "ok       disk           5 MB"
    assert line(Finding("disk", "failed", "5 MB", "make room")).splitlines()[1].strip() == "-> make room"
