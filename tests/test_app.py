"""The live device as a whole, in this process: what hangs, what is watched, what is taken over."""

import io
import json
import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app import app, composition, logs
from edge_app.config import Config, HistoryConfig
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.errors import DeviceError, InputError
from edge_app.learner import Learner
from edge_app.learner.manifest import find_manifest
from edge_app.learner.replay import CHUNK, RateCoder, Trained
from edge_app.pipeline import stage
from edge_app.pipeline.encode import Encode
from edge_app.pipeline.events import Decided
from edge_app.pipeline.stage import StageFailed
from edge_app.service import Signals
from edge_app.simulation.devices import SimulatedOutputs
from edge_app.storage.folder import database_path
from edge_app.storage.records import Entry, NewExample
from edge_app.storage.store import Store
from support.device import Device
from support.mjpeg_server import serving
from support.simple_network import open_learner

CAMERA = "sim:scene=shapes,size=160x120,fps=20"


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    logger = logging.getLogger(logs.LOGGER)
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate, logger.level = before


def source(state: Path, buttons: str = "sim:", path: Path | None = None, **environ: str) -> app.ConfigSource:
    def change(config: Config) -> Config:
        return config.overridden(camera=CAMERA, buttons=buttons, state=state)

    return app.ConfigSource(path, environ, change)


@pytest.mark.slow
def test_it_runs_learns_and_ends_in_time(tmp_path: Path) -> None:
    events = []
    status = app.run(source(tmp_path, "sim:disc@1"), listener=events.append, seconds=3)
    assert status.learnt == 1
    assert status.classes == ("disc",)
    assert status.decided == sum(isinstance(event, Decided) for event in events) > 0
    with Store.reader(database_path(tmp_path)) as store:
        assert [example.label for example in store.examples()] == ["disc"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stream", "page"], ids=["well", "absent"])
def test_no_line_of_the_log_tells_the_password_of_the_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], stream: str
) -> None:
    """Of one that is there, until it hangs up; and of one that cannot be opened."""
    caplog.set_level(logging.DEBUG, logs.LOGGER)
    errors = io.StringIO()
    logs.set_up("debug", errors, {})
    logging.getLogger(logs.LOGGER).propagate = True
    with serving() as server:
        uri = f"http://me:s3cret@{server.address}/secret/{stream}?user=me&pwd=s3cret#timeout=1s"

        def hang_up(_: object) -> None:
            server.hang_up.set()

        def override(config: Config) -> Config:
            return config.overridden(camera=uri, buttons="sim:", state=tmp_path)

        try:
            app.run(app.ConfigSource(None, {}, override), listener=hang_up, seconds=4)
        except DeviceError as error:
            assert stream == "page"
            logs.report(logging.ERROR, "ended", reason=str(error))
    told = errors.getvalue() + caplog.text + "".join(capfd.readouterr())
    assert f"me:***@{server.address}/secret/{stream}?user=me&pwd=***" in told
    assert ("camera_fault" in told) == (stream == "stream")
    assert "s3cret" not in told


def events_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == logs.LOGGER]


@pytest.mark.slow
def test_a_camera_that_is_absent_at_the_start_is_opened_later_and_the_page_is_there_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logs.LOGGER)
    path = tmp_path / "config.toml"
    path.write_text("[web]\nenabled = true\nport = 0\n")

    def override(config: Config) -> Config:
        return config.overridden(camera=f"{CAMERA},unplug=0+1", state=tmp_path / "state")

    status = app.run(app.ConfigSource(path, {}, override), seconds=4)
    told = [event for event in events_of(caplog) if event in ("camera_absent", "page", "ready", "camera_reopened")]
    assert list(dict.fromkeys(told)) == ["camera_absent", "page", "ready", "camera_reopened"]
    assert status.decided > 0


def test_a_camera_that_is_absent_at_the_start_is_an_error_without_a_page(tmp_path: Path) -> None:
    def override(config: Config) -> Config:
        return config.overridden(camera=f"{CAMERA},unplug=0+9", state=tmp_path / "state")

    with pytest.raises(DeviceError, match="unplugged"):
        app.run(app.ConfigSource(None, {}, override), seconds=4)


def test_those_outside_are_not_given_the_password_of_the_camera(tmp_path: Path) -> None:
    config = Config().overridden(camera="rtsp://me:s3cret@shelf/1?token=s3cret", buttons="sim:", state=tmp_path)
    manifest = find_manifest(tmp_path, None)
    with open_learner(tmp_path) as learner:
        device = Device(tmp_path, learner, history=HistoryConfig(enabled=False))
        parts = (device.encoder, device.place, device.hub, device.clock)
        control = composition.make_control(config, tmp_path, manifest, *parts)
    assert control.config["camera"]["uri"] == "rtsp://me:***@shelf/1?token=***"
    assert "s3cret" not in str(control.config)


@pytest.mark.slow
def test_a_stage_that_hangs_stops_the_pings_and_the_stop_still_saves_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Frozen on purpose: the encoder does not return. The times are shortened, so that nobody waits for them."""
    caplog.set_level(logging.INFO, logs.LOGGER)
    frozen, released = threading.Event(), threading.Event()
    encode = TFLiteEncoder.encode

    def hang(self: TFLiteEncoder, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        if frozen.is_set():
            assert released.wait(60)
        return encode(self, image, out)

    monkeypatch.setattr(TFLiteEncoder, "encode", hang)
    monkeypatch.setattr(Encode, "longest_wait_s", 0.3)
    monkeypatch.setattr(stage, "SLACK_S", 0.2)
    monkeypatch.setattr(app, "STOP_S", 0.5)
    address = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address)
    manager.settimeout(30)
    heard: list[dict[str, str]] = []

    def listen() -> None:
        while True:
            heard.append(dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n")))
            if "READY" in heard[-1]:
                frozen.set()
            if heard[-1].get("STATUS") == "silent: encode":
                os.kill(os.getpid(), signal.SIGTERM)
                return

    listener = threading.Thread(target=listen)
    listener.start()
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}
    config = tmp_path / "config.toml"
    config.write_text('[outputs]\nuri = "sim:siren,lamp"\non_at_start = ["siren"]\non_at_stop = ["lamp"]\n')
    lines: list[SimulatedOutputs] = []
    close = SimulatedOutputs.close
    monkeypatch.setattr(SimulatedOutputs, "close", lambda self: (lines.append(self), close(self)))
    with pytest.raises(StageFailed, match=r"the stages encode did not stop within 0\.5 s; the state is saved"):
        app.run(source(tmp_path / "state", path=config, **environ), seconds=60)
    assert [one.levels for one in lines] == [{"siren": False, "lamp": True}], "no output is left on"
    listener.join(30)
    manager.close()
    released.set()
    slow_steps = [
        message for message in heard if message.get("STATUS", "").startswith(("starting", "loading", "opening"))
    ]
    assert len(slow_steps) > 1
    assert not any("WATCHDOG" in message for message in slow_steps), "a ping would set the watchdog off too soon"
    assert all(message["EXTEND_TIMEOUT_USEC"] == "300000000" for message in slow_steps[1:])
    assert "WATCHDOG" not in heard[-1]
    assert "stage_silent" in caplog.text
    with Store.open(database_path(tmp_path / "state")) as store:
        assert store.examples() == [], "it was closed, and can be opened"


def test_a_watchdog_that_is_too_short_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="WatchdogSec = 5 s is too short: the stage capture"):
        app.run(source(tmp_path, WATCHDOG_USEC="5000000"), seconds=1)


def test_a_reading_again_keeps_what_the_command_line_says(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[camera]\nuri = "dir:/x"\n[decision]\nvote = 3\n')
    config = source(tmp_path, path=path).load()
    assert (config.camera.uri, config.decision.vote) == (CAMERA, 3)
    assert json.dumps(config.to_table())


def test_a_stop_while_the_state_is_loaded_is_obeyed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = find_manifest(tmp_path, None)
    chance = np.random.default_rng(1)
    news = [
        NewExample(chance.integers(0, 60, manifest.embedding_size, np.uint8).tobytes(), f"class {i % 3}", 1, "test")
        for i in range(3 * CHUNK)
    ]
    with Learner.open(tmp_path, manifest) as learner:
        learner.import_examples(news)
    for snapshot in (tmp_path / "snapshots").iterdir():
        snapshot.unlink()
    learn, learnt = Trained.learn, []

    def interrupted(self: Trained, entries: list[Entry], rate_code: RateCoder) -> None:
        learn(self, entries, rate_code)
        learnt.append(len(entries))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trained, "learn", interrupted)
    with pytest.raises(
        composition.StoppedEarly, match=f"stopped while the state was loaded, {CHUNK} of {3 * CHUNK}"
    ) as caught:
        app.run(source(tmp_path))
    assert (learnt, caught.value.exit_status) == ([CHUNK], 0)
    monkeypatch.undo()
    with Learner.open(tmp_path, manifest) as learner:
        assert len(learner.examples()) == 3 * CHUNK


@pytest.mark.slow
@pytest.mark.parametrize("step", ["_finish", "prepare_clients"], ids=["stops for it", "starts again"])
def test_a_stop_during_a_restart_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    offer, done, steps = app._offer_restart, getattr(app, step), []

    def offer_and_ask(device: composition.OpenedDevice, signals: Signals) -> queue.SimpleQueue[str]:
        asked = offer(device, signals)
        asked.put(app.PLACED)
        return asked

    def interrupted(*parts: object) -> object:
        steps.append(step)
        if len(steps) == (1 if step == "_finish" else 2):
            signal.raise_signal(signal.SIGTERM)
        return done(*parts)

    monkeypatch.setattr(app, "_offer_restart", offer_and_ask)
    monkeypatch.setattr(app, step, interrupted)
    app.run(source(tmp_path), seconds=20)
    assert steps == [step] if step == "_finish" else [step] * 2


def test_a_restart_gives_no_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []

    def run_once(source: object, listener: object, end: float, signals: Signals, *, again: bool) -> tuple[None, str]:
        ends.append(end)
        return None, "time is up" if again else app.PLACED

    monkeypatch.setattr(app, "_run_once", run_once)
    app.run(source(tmp_path), seconds=3)
    assert len(ends) == 2
    assert ends[0] == ends[1]
