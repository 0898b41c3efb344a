"""`edge-app run` with a real broker: processes with the real encoder and classifier and simulated cameras."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.mosquitto import Mosquitto, Observer

Observe = Callable[..., Observer]
KEY = "a key that the whole house shares, and nobody else"


class Process:
    """A process of `edge-app run` with its own configuration file."""

    def __init__(self, folder: Path, name: str, port: int, mqtt: str = "") -> None:
        folder.mkdir(exist_ok=True)
        key = folder / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        config = folder / "config.toml"
        config.write_text(
            f'[camera]\nuri = "sim:scene=shapes,size=320x240,fps=20"\n[state]\nfolder = "{folder / "state"}"\n'
            f'[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = {port}\ndevice = "{name}"\ncommands = "administer"\n'
            f'hold_s = 0.2\noffers = "signed"\noffers_key_file = "{key}"\n{mqtt}'
        )
        self._log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_app", "run", "--config", str(config)],
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
            stderr=self._log,
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self._log.close()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        self._log.close()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    found: list[Process] = []
    yield found
    for process in found:
        process.kill()


def ask(seen: Observer, device: str, name: str, **fields: Any) -> dict[str, Any]:
    """Send a command and return its answer, a success."""
    topic = f"edge-app/{device}/response"
    known = len(seen.of(topic))
    seen.send(f"edge-app/{device}/command/{name}", json.dumps(fields))
    seen.wait_for(lambda _: len(seen.of(topic)) > known)
    answer: dict[str, Any] = json.loads(seen.of(topic)[-1])
    assert answer["ok"]
    return answer


def decided(seen: Observer, device: str, *labels: str) -> dict[str, Any]:
    """Wait for a decision among exactly these classes, for one of them."""

    def right(payload: bytes) -> bool:
        decision = json.loads(payload)
        return decision["spikes"].keys() == set(labels) and decision["label"] is not None

    found: dict[str, Any] = json.loads(seen.last(f"edge-app/{device}/decision", right))
    return found


@pytest.mark.slow
def test_a_class_taught_on_one_device_is_known_on_the_other(
    tmp_path: Path, broker: Mosquitto, observe: Observe, processes: list[Process]
) -> None:
    seen = observe("edge-app/#")
    processes.extend(Process(tmp_path / name, name, broker.port) for name in ("kitchen", "workshop"))
    for name in ("kitchen", "workshop"):
        assert seen.last(f"edge-app/{name}/status") == b"online"
    for number in range(3):
        taught = ask(seen, "kitchen", "teach", label="thing", request=f"press {number}")
        assert (taught["example"], taught["label"]) == (number + 1, "thing")
    assert ask(seen, "kitchen", "offer", label="thing")["examples"] == 3
    seen.wait_for(lambda _: any(b'"offer_accepted"' in told for told in seen.of("edge-app/workshop/event")))
    assert decided(seen, "workshop", "thing")["label"] == "thing"
    classes = json.loads(seen.last("edge-app/workshop/classes", lambda payload: b"thing" in payload))
    assert classes["thing"]["examples"] == 3
    assert ask(seen, "workshop", "undo")["kind"] == "import"
    seen.last("edge-app/workshop/classes", lambda payload: payload == b"{}")
    assert processes[1].stop() == 0
    assert seen.last("edge-app/workshop/status") == b"offline"
    processes[0].kill()
    seen.last("edge-app/kitchen/status", lambda payload: payload == b"offline")


@pytest.mark.slow
def test_a_stop_is_quick_and_clean_while_the_broker_is_away(
    tmp_path: Path, broker: Mosquitto, observe: Observe, processes: list[Process]
) -> None:
    seen = observe("edge-app/#")
    processes.append(Process(tmp_path / "kitchen", "kitchen", broker.port, "thumbnails = true\n"))
    assert seen.last("edge-app/kitchen/picture", bool).startswith(b"\xff\xd8\xff")
    broker.stop()
    assert processes[0].stop() == 0


@pytest.mark.slow
def test_what_keeps_it_from_starting_is_said_at_once(tmp_path: Path, processes: list[Process]) -> None:
    processes.append(Process(tmp_path / "x", "x", 1, 'user = "u"\npassword_file = "/nowhere"\n'))
    assert processes[0].process.wait(60) == 2
    assert "mqtt.password_file = '/nowhere' cannot be read: No such file" in (tmp_path / "x" / "log").read_text()


@pytest.mark.slow
def test_without_the_section_the_library_is_not_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edge_app import app\n"
        "def change(config): return config.overridden(camera='sim:', buttons='sim:', state=Path(sys.argv[1]))\n"
        "app.run(app.ConfigSource(None, {}, change), seconds=0.1)\n"
        "print([name for name in sys.modules if name.startswith(('paho', 'edge_app.mqtt', 'ssl'))])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_rule_publishes_on_a_topic_of_its_own(
    tmp_path: Path, broker: Mosquitto, observe: Observe, processes: list[Process]
) -> None:
    seen = observe("house/#")
    rule = '[[rules]]\nname = "tell"\nlabel = "unknown"\ntopic = "house/shelf/seen"\n'
    processes.append(Process(tmp_path / "shelf", "shelf", broker.port, rule))
    found = json.loads(seen.last("house/shelf/seen"))
    assert (found["rule"], found["label"], found["test"]) == ("tell", None, False)
    assert processes[0].stop() == 0
