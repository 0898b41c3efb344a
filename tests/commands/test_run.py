"""`edge-app run` as a process, with the real encoder and classifier; its camera and buttons are simulated."""

import fcntl
import io
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app import cli, logs
from edge_app.commands.run import WAITING_DECISIONS, DecisionPrinter
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.live_device import Device
from support.pipeline_parts import decided

CAMERA = "sim:scene=shapes,size=320x240,fps=20"


@pytest.fixture
def devices() -> Iterator[list[Device]]:
    found: list[Device] = []
    yield found
    for device in found:
        device.close()


def stored(folder: Path) -> list[tuple[str, str]]:
    with Store.reader(database_path(folder)) as store:
        return [(example.label, example.source) for example in store.examples()]


@pytest.mark.slow
def test_from_start_to_stop_under_a_service_manager(tmp_path: Path, devices: list[Device]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[camera]\nuri = "{CAMERA}"\n[buttons]\nuri = "sim:disc@1.5,square@2.5,undo@3.5"\n')
    device = Device(tmp_path, "--config", str(config), "--decisions")
    devices.append(device)
    device.wait_for("READY")
    assert device.heard[0] == {"STATUS": "starting"}
    for classes in ((), ("disc",), ("disc", "square"), ("disc",)):  # square was undone: the network is rebuilt
        device.wait_for_decision(*classes)
    config.write_text(config.read_text() + "[camera]\nfps = 3\n")
    device.process.send_signal(signal.SIGHUP)
    device.wait_for_line("reload_refused")
    config.write_text('[camera]\nrotation = 90\n[decision]\nmax_fps = 5\n[log]\nlevel = "warning"\n')
    device.process.send_signal(signal.SIGHUP)
    device.wait_for("RELOADING")
    device.wait_for("READY")
    device.process.send_signal(signal.SIGTERM)
    device.wait_for("STOPPING")
    _, err = device.end()
    assert device.process.returncode == 0
    assert "stopped" not in err, "the reload has raised the log's level"
    assert stored(device.state) == [("disc", "button disc")]
    assert list((device.state / "snapshots").iterdir()), "the state was saved"


@pytest.mark.slow
def test_what_was_learnt_is_there_at_the_next_start_and_a_recording_ends(
    tmp_path: Path, photos: dict[str, list[Path]], devices: list[Device]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("cat", "coffee") * 5):
        (folder / f"{number}.jpg").write_bytes(photos[name][number // 2].read_bytes())
    for presses, code in (("cat@0.1+1.1,coffee@0.6+1.6", 0), ("", 0)):
        device = Device(
            tmp_path, "--camera", f"dir:{folder}?fps=2", "--buttons", f"sim:{presses}", "--decisions", watchdog_s=None
        )
        devices.append(device)
        out, err = device.end()
        device.manager.close()
        (tmp_path / "notify").unlink()
        assert device.process.returncode == code, err
        assert "recording_ended" in err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["frame"] for answer in answers] == list(range(10))
    assert [answer["label"] for answer in answers[-4:]] == ["cat", "coffee"] * 2
    assert [label for label, _ in stored(device.state)] == ["cat", "coffee", "cat", "coffee"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "watchdog", "code", "message"),
    [
        (["--camera", "dir:/nowhere"], None, 8, "cannot read the folder"),
        (["--camera", f"{CAMERA},unplug=0.5"], None, 9, "no usable frame for 1 s"),
        (["--camera", CAMERA], 10.0, 2, "WatchdogSec = 10 s is too short: the stage capture"),
    ],
)
def test_what_ends_it_has_a_status_of_its_own(
    tmp_path: Path, devices: list[Device], options: list[str], watchdog: float | None, code: int, message: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[camera]\ngive_up_after_s = 1\n")
    device = Device(tmp_path, "--config", str(config), *options, watchdog_s=watchdog)
    devices.append(device)
    _, err = device.end()
    assert device.process.returncode == code, err
    assert message in err.splitlines()[-1]


def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EDGE_APP_STATE", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    assert cli.run(["run"]) == 2
    assert "no state folder: give --state DIR" in capsys.readouterr().err
    assert cli.run(["run", "--seconds", "0"]) == 2
    assert "--seconds 0: expected more than 0" in capsys.readouterr().err
    assert cli.run(["run", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_of_decisions_that_is_gone_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logs.LOGGER)
    with DecisionPrinter(Closed()) as show:
        for number in range(3):
            show(decided("cup", number))
    assert [record.getMessage() for record in caplog.records] == ["decisions_unread"]


def test_a_reader_of_decisions_that_does_not_read_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logs.LOGGER)
    read, write = os.pipe()
    with open(read) as reader, open(write, "w") as stream:
        show = DecisionPrinter(stream)
        pipe_size = fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)
        for number in range(WAITING_DECISIONS + pipe_size // 100):
            show(decided("cup", number))
        assert [record.getMessage() for record in caplog.records] == ["decisions_unread"]
        numbers = [json.loads(reader.readline())["frame"] for _ in range(WAITING_DECISIONS)]
        assert numbers == list(range(WAITING_DECISIONS))
        drain = threading.Thread(target=lambda: [None for _ in reader])
        drain.start()
        show.close()
        stream.close()
        drain.join()


def test_decisions_are_lines_of_json() -> None:
    stream = io.StringIO()
    with DecisionPrinter(stream) as show:
        show(decided("cup", 7))
    line = json.loads(stream.getvalue())
    assert (line["frame"], line["label"], line["confidence"], line["spikes"]) == (7, "cup", 0.9, {"cup": 1})
