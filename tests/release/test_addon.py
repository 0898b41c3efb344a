"""The add-on of Home Assistant: its configuration by the Supervisor's rules, and what its start makes of it."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_app import __version__
from edge_app.config import Config, load_config

ADDON = Path(__file__).resolve().parents[2] / "release" / "homeassistant" / "edge_app"
# supervisor/addons/validate.py and options.py of home-assistant/supervisor, as of 2026
KEYS = {
    *("name", "version", "slug", "description", "arch", "startup", "boot", "init", "stage", "ingress", "ingress_port"),
    *("ingress_stream", "panel_icon", "panel_title", "video", "gpio", "usb", "tmpfs", "homeassistant", "services"),
    *("map", "backup", "timeout", "options", "schema"),
}
ELEMENT = re.compile(
    r"(?:|bool|email|url|port|device(?:\(subsystem=[a-z]+\))?|str(?:\(\d*,\d*\))?|password(?:\(\d*,\d*\))?"
    r"|int(?:\(-?\d*,-?\d*\))?|float(?:\(-?[\d.]*,-?[\d.]*\))?|match\(.*\)|list\(.+\))\??"
)
SERVICE = re.compile(r"(mqtt|mysql):(provide|want|need)")
BROKER = {"host": "core-mosquitto", "port": 1883, "ssl": False, "username": "addons", "password": "geheim"}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ADDON / name).read_text(encoding="utf-8"))
    return found


def test_the_configuration_follows_the_supervisors_rules() -> None:
    config = read("config.yaml")
    assert config.keys() == KEYS
    assert config["version"] == __version__
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", config["slug"])
    assert set(config["arch"]) <= {"aarch64", "amd64"}
    assert all(SERVICE.fullmatch(service) for service in config["services"])
    assert all(ELEMENT.fullmatch(kind) for kind in config["schema"].values())
    assert 10 <= config["timeout"] <= 300
    assert {one["type"] for one in config["map"]} <= {"addon_config"}


def test_every_option_has_a_kind_a_default_and_words() -> None:
    config = read("config.yaml")
    needed = {name for name, kind in config["schema"].items() if not kind.endswith("?")}
    assert config["options"].keys() == needed
    words = read("translations/en.yaml")["configuration"]
    assert words.keys() == config["schema"].keys()
    assert all(entry.keys() == {"name", "description"} for entry in words.values())


def test_it_is_built_for_every_processor_that_it_names() -> None:
    assert set(read("build.yaml")["build_from"]) == set(read("config.yaml")["arch"])


@contextmanager
def supervisor(answer: dict[str, Any] | None) -> Iterator[str]:
    """Serve the Supervisor's answer on the broker; None: it has no service of this kind."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            right = self.path == "/services/mqtt" and self.headers["Authorization"] == "Bearer secret"
            self.send_response(200 if answer is not None and right else 400)
            self.end_headers()
            self.wfile.write(json.dumps({"result": "ok", "data": answer or {}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def started(folder: Path, answer: dict[str, Any] | None = BROKER, **options: Any) -> Config:
    """Return the configuration that the add-on starts edge-app with."""
    (folder / "options.json").write_text(json.dumps(read("config.yaml")["options"] | options))
    with supervisor(answer) as url:
        environ = {"EDGE_APP_ADDON_DATA": str(folder), "EDGE_APP_ADDON_CONFIG": str(folder / "own")}
        environ |= {"SUPERVISOR": url, "SUPERVISOR_TOKEN": "secret"}
        command = [sys.executable, ADDON / "start.py", "--print"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    (folder / "printed.toml").write_text(done.stdout)
    return load_config(folder / "printed.toml", {})


def test_options_and_the_broker_become_the_configuration(tmp_path: Path) -> None:
    config = started(tmp_path, camera="sim:", strictness=0.7, role="teach", pictures=True, device_name="Kitchen")
    assert (config.camera.uri, config.decision.strictness) == ("sim:", 0.7)
    assert (config.web.gateway, config.web.gateway_role) == ("172.30.32.2", "teach")
    assert config.web.frame_ancestors == ("self",)
    assert config.web.port == read("config.yaml")["ingress_port"]
    assert (config.mqtt.enabled, config.mqtt.host, config.mqtt.user) == (True, "core-mosquitto", "addons")
    assert (config.mqtt.name, config.mqtt.commands, config.mqtt.thumbnails) == ("Kitchen", "teach", True)
    password = Path(config.mqtt.password_file)
    assert password.read_text() == "geheim"
    assert password.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("answer", [None, {}])
def test_without_a_broker_the_page_is_served_all_the_same(tmp_path: Path, answer: dict[str, Any] | None) -> None:
    config = started(tmp_path, answer)
    assert (config.web.enabled, config.mqtt.enabled) == (True, False)


def test_mqtt_can_be_turned_off(tmp_path: Path) -> None:
    assert not started(tmp_path, mqtt=False).mqtt.enabled


def test_a_configuration_of_the_users_replaces_the_options(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.toml").write_text('[camera]\nuri = "sim:"\n')
    config = started(tmp_path, camera="v4l2:/dev/video7")
    assert config.camera.uri == "sim:"
    assert not config.web.enabled
