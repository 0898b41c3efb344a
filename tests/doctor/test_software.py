"""Libraries, cache and service as the system tells of them."""

import os
import sys
from pathlib import Path

import pytest

from edge_app.doctor import software
from edge_app.doctor.findings import run_program
from support.machines import MakeSystem


def importing(module: str) -> str:
    return f"{sys.executable} -c import {module}; print(getattr({module}, '__version__', 'there'))"


def test_libraries_of_this_machine() -> None:
    found = {line.name: line for line in software.check_libraries(run_program)}
    assert set(found) == set(software.LIBRARIES)
    assert {line.status for line in found.values()} == {"ok"}


def test_a_broken_library_and_an_extra_that_is_missing(machine: MakeSystem) -> None:
    programs = {importing(name): "1.0" for name in ("numpy", "numba", "PIL")}
    found = {line.name: line for line in software.check_libraries(machine(programs=programs).run, ("gpio", "sim"))}
    assert {name for name, line in found.items() if line.status == "failed"} == {"cv2", "gpiod"}
    assert "--force-reinstall opencv-python-headless" in found["cv2"].advice
    assert 'edge-app[gpio]"' in found["gpiod"].advice


def test_extras_in_use(machine: MakeSystem) -> None:
    found = list(software.check_libraries(machine(programs={importing("paho.mqtt"): "2.1"}).run, (), ("mqtt", "web")))
    told = {line.name: line for line in found[len(software.LIBRARIES) :]}
    assert {name: line.status for name, line in told.items()} == {"paho.mqtt": "ok"} | dict.fromkeys(
        software.EXTRAS["web"], "failed"
    )
    assert 'edge-app[web]"' in told["uvicorn"].advice


def test_programs_of_cameras() -> None:
    paths = {"gst-launch-1.0": "/usr/bin/gst-launch-1.0"}
    found = list(software.check_programs(("gst", "picamera2"), paths.get))
    assert [(line.name, line.status) for line in found] == [("gst-launch-1.0", "ok"), ("rpicam-hello", "failed")]
    assert "apt install" in found[1].advice
    assert list(software.check_programs(("v4l2",), paths.get)) == []


@pytest.mark.parametrize(
    ("state", "status"),
    [((None, 0, "no folder"), "warning"), (("/c", 0, "here"), "warning"), (("/c", 53, "here"), "ok")],
)
def test_cache(state: tuple[str | None, int, str], status: str) -> None:
    (found,) = software.check_cache(lambda: state)
    assert (found.status, bool(found.advice)) == (status, status != "ok")


def show(active: str, enabled: str, restarts: str = "0") -> dict[str, str]:
    values = {"ActiveState": active, "UnitFileState": enabled, "NRestarts": restarts}
    return {f"systemctl show edge-app --property={name} --value": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("programs", "status", "said"),
    [
        ({}, "warning", "does not report"),
        (show("failed", "enabled"), "failed", "failed"),
        (show("inactive", "disabled"), "warning", "inactive, disabled"),
        (show("active", "disabled"), "warning", "does not start at boot"),
        (show("active", "enabled", "4"), "warning", "restarted 4 times"),
        (show("active", "enabled"), "ok", "running, starts at boot"),
    ],
)
def test_service(machine: MakeSystem, programs: dict[str, str], status: str, said: str) -> None:
    system = machine({software.UNIT: "[Service]", f"{software.SERVICE_CACHE}/k/a.nbi": ""}, programs)
    (found,) = software.check_service(system)
    assert found.status == status
    assert said in found.detail
    assert software.service_runs(system) == (programs.get(next(iter(show("", "")))) == "active")


def test_service_without_kernels(machine: MakeSystem) -> None:
    found = list(software.check_service(machine({software.UNIT: ""}, show("active", "enabled"))))
    assert [(line.name, line.status) for line in found] == [("service", "ok"), ("service kernels", "warning")]


def test_no_service(machine: MakeSystem) -> None:
    (found,) = software.check_service(machine())
    assert (found.status, "not installed" in found.detail) == ("ok", True)


@pytest.mark.parametrize(
    ("uri", "files", "said"),
    [
        ("v4l2:/dev/video0", {software.UNIT: ""}, []),
        ("gst:videotestsrc", {software.UNIT: ""}, []),
        ("gst:jetson-csi#sensor=1", {software.ARGUS_SOCKET: ""}, []),
        ("gst:jetson-csi", {software.ARGUS_SOCKET: "", software.UNIT: "", software.ARGUS_DROP_IN: ""}, []),
        ("gst:jetson-csi", {software.ARGUS_SOCKET: "", software.UNIT: ""}, [("service camera", "warning")]),
        (
            "gst:nvarguscamerasrc ! nvvidconv",
            {software.UNIT: ""},
            [("nvargus-daemon", "failed"), ("service camera", "warning")],
        ),
    ],
)
def test_the_way_to_a_jetsons_camera(
    machine: MakeSystem, uri: str, files: dict[str, str], said: list[tuple[str, str]]
) -> None:
    found = list(software.check_argus(machine(files), uri))
    assert [(line.name, line.status) for line in found] == said
    assert all(line.advice for line in found)


@pytest.mark.parametrize(
    ("uri", "python"),
    [
        ("events:metavision", "/usr/bin/python3"),
        ("events:metavision:0042?window=1s,python=/opt/eb/bin/python,colours=grey", "/opt/eb/bin/python"),
        ("events:recording.raw", None),
        ("events:v4l2:/dev/video0", None),
    ],
)
def test_the_library_of_an_event_camera(machine: MakeSystem, uri: str, python: str | None) -> None:
    there = machine(programs={f"{python} -I -c {software.OPENEB}": "there"}).run
    found = list(software.check_openeb(there, uri)) + list(software.check_openeb(machine().run, uri))
    assert [line.status for line in found] == (["ok", "failed"] if python else [])
    if python:
        assert found[0].detail == f"there for {python}"
        assert "https://docs.prophesee.ai" in found[1].advice


def test_how_a_user_gets_the_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(Path, "group", lambda path: "video")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert software.user_groups(device).startswith("sudo usermod -aG video")
    monkeypatch.setattr(Path, "group", lambda path: "root")
    assert "udev rule" in software.user_groups(device)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "udev rule" in software.user_groups(device)

    def unknown(path: Path) -> str:
        raise KeyError

    monkeypatch.setattr(Path, "group", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "-aG video" in software.user_groups(device)
