"""The files of fleet/: valid for the programs that read them, and true of what devices tell."""

import difflib
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from edge_app.config import load_config
from edge_app.web.metrics import PlaceMetrics, exposition
from support.fleet import FLEET, REPOSITORY, expressions
from support.served import Served, api

PREFIX = re.compile(r"\bedge_app_[a-z_]+\b")


def read(name: str) -> Any:
    return yaml.safe_load((FLEET / name).read_text(encoding="utf-8"))


def test_every_metric_of_dashboard_and_alerts_exists(served: Served) -> None:
    served.http.post(api("/classes/cup/teach"))
    status = served.control.status()._replace(temperature_c=51.5)
    text = exposition(
        [PlaceMetrics("default", status, served.control.classes(), served.control.tally)], streams=0, pictures=0
    )
    known = {line.partition(" ")[0].partition("{")[0] for line in text.splitlines() if not line.startswith("#")}
    for title, expression in expressions().items():
        names = set(PREFIX.findall(expression))
        assert names or "up{" in expression, title
        assert names <= known, title


def test_panels_do_not_overlap() -> None:
    dashboard = json.loads((FLEET / "grafana" / "edge-app.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_compose_file_names_files_that_exist_and_the_gateway_of_the_devices() -> None:
    compose = read("compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (FLEET / source).exists() if source.startswith(".") else source in compose["volumes"], volume
    address = compose["services"]["prometheus"]["networks"]["default"]["ipv4_address"]
    cameras = sorted(name for name in compose["services"] if name.startswith("camera"))
    assert len(cameras) == 3
    for name in cameras:
        config = load_config(FLEET / "devices" / f"{name}.toml", {})
        assert (config.mqtt.device, config.mqtt.host, config.web.gateway) == (name, "mosquitto", address)
        assert config.web.gateway_role == "view"
    targets = read("prometheus/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"{name}:{config.web.port}" for name in cameras]


def test_the_template_unit_is_the_unit_but_for_names() -> None:
    unit = (REPOSITORY / "systemd" / "edge-app.service").read_text().splitlines()
    template = (FLEET / "edge-app@.service").read_text().splitlines()
    changed = [
        line[2:] for line in difflib.ndiff(unit, template) if line.startswith("+ ") and not line.startswith("+ #")
    ]
    assert changed == [
        "Description=edge-app, a camera that learns: %i",
        "ExecStart=/opt/edge-app/bin/python3 -m edge_app run --config /etc/edge-app/%i.toml",
        "StateDirectory=edge-app/%i",
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus")
def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "config", FLEET / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
