"""The recipes of docs/rules.md against real receivers: configured as documented, but for the addresses and files."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from edge_app.config import Config, load_config
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S
from edge_app.messages import Frame
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.firing import CLOUD_EVENT
from edge_app.rules.http import post
from edge_app.rules.opening import WatchedPlace, open_rules
from edge_app.rules.queue import Message
from edge_app.rules.sentence import sentence
from edge_app.rules.webhooks import prepare
from support.pipeline_parts import Reports, decided
from support.receiver import WebhookReceiver

REPOSITORY = Path(__file__).resolve().parents[2]


def recipes() -> dict[str, dict[str, Any]]:
    """Heading -> configuration, of every example in docs/rules.md."""
    text = (REPOSITORY / "docs" / "rules.md").read_text(encoding="utf-8")
    found = re.findall(r"^#+ ([^\n]+)\n(?:(?!^#+ ).)*?```toml\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    return {heading: tomllib.loads(example) for heading, example in found}


def configured(folder: Path, table: dict[str, Any]) -> Config:
    path = folder / "config.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return load_config(path, {})


def secret(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content + "\n")
    path.chmod(0o600)
    return str(path)


class Running:
    """The rules of a configuration; a call shows them a label for a second."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.reports, self._clock, self._recent = Reports(), MonotonicClock(), RecentFrames()
        rules = open_rules(
            config,
            folder,
            {"camera": WatchedPlace(self._recent, ClassReferences())},
            lambda *_: b"jpeg",
            self._clock,
            self.reports,
        )
        assert rules is not None
        self.rules = rules
        # in the past: ten frames are shown at once
        self._next_ns = self._clock.monotonic_ns() - 60 * NS_PER_S
        self._sequence = 0

    def __call__(self, label: str | None) -> None:
        for _ in range(10):
            self._recent.add(Frame(np.zeros((8, 8, 3), np.uint8), self._next_ns, self._sequence))
            self.rules.happened(decided(label, self._sequence, captured_ns=self._next_ns, confidence=0.93))
            self._next_ns += NS_PER_S // 10
            self._sequence += 1
        self.rules.step()


@contextmanager
def running(folder: Path, config: Config) -> Iterator[Running]:
    """Run the rules; only what they deliver has threads."""
    found = Running(folder, config)
    with found.rules:
        found.rules._deliveries.start()
        yield found


@pytest.mark.parametrize("heading", recipes())
def test_every_example_is_valid(heading: str, tmp_path: Path) -> None:
    config = configured(tmp_path, recipes()[heading])
    assert config.rules
    for rule in config.rules:
        assert sentence(rule).startswith("When ")


def test_ntfy_gets_a_line_and_its_headers(tmp_path: Path) -> None:
    table = recipes()["A notification by ntfy"]
    with WebhookReceiver() as receiver:
        table["webhooks"][0]["url_file"] = secret(tmp_path, "address", receiver.url("/topic-8f3a"))
        table["webhooks"][0]["allow_private"] = True
        with running(tmp_path, configured(tmp_path, table)) as show:
            show("cat")
            receiver.wait_for(lambda got: len(got) == 1)
    ((path, headers, body),) = receiver.received
    assert path == "/topic-8f3a"
    assert body == b"cat at camera, 93% sure"
    assert (headers["title"], headers["tags"]) == ("Cat flap", "cat")
    assert headers["content-type"] == "text/plain; charset=utf-8"


def test_the_recipe_of_node_red_sends_an_event_for_each_label(tmp_path: Path) -> None:
    table = recipes()["Node-RED"]
    with WebhookReceiver(200) as receiver:
        table["webhooks"][0] |= {"url": receiver.url("/edge-app"), "secret_file": secret(tmp_path, "key", "k" * 16)}
        with running(tmp_path, configured(tmp_path, table)) as show:
            for label in ("cat", None, "dog"):
                show(label)
            receiver.wait_for(lambda got: len(got) == 3)
    assert [json.loads(one.body)["data"]["label"] for one in receiver.received] == ["cat", None, "dog"]


LABEL = r"\[debug:label\] ?(.*)"
"""Line of Node-RED's log."""


class NodeRed:
    """Node-RED with the flow of the recipe, without its editor; a context manager."""

    def __init__(self, folder: Path, program: str, key: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {"uiHost": "127.0.0.1", "uiPort": self.port, "httpAdminRoot": False, "telemetry": {"enabled": False}}
        (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)};")
        shutil.copy(REPOSITORY / "examples" / "node_red_flow.json", folder / "flows.json")
        command = [program, "--userDir", str(folder), "--settings", str(folder / "settings.js"), "flows.json"]
        environ = os.environ | {"EDGE_APP_KEY": key}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)

    def wait_for(self, pattern: str) -> str:
        """Return the first group of a pattern in the next line of its log that has it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"Node-RED ended without {pattern!r}")

    def __enter__(self) -> "NodeRed":
        self.wait_for(r"\[info\] (Started flows)")
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()


@pytest.mark.slow
def test_node_red_checks_the_signature_and_acts_once(tmp_path: Path) -> None:
    program = shutil.which("node-red")
    if program is None:
        pytest.skip("node-red is not installed: npm install node-red, with node_modules/.bin on the path")
    table = recipes()["Node-RED"]
    key = "0123456789abcdef0123"
    (tmp_path / "node-red").mkdir()
    with NodeRed(tmp_path / "node-red", program, key) as node_red:
        url = f"http://127.0.0.1:{node_red.port}/edge-app"
        table["webhooks"][0] |= {"url": url, "secret_file": secret(tmp_path, "key", key)}
        config = configured(tmp_path, table)
        target = prepare(config.webhooks[0])
        with running(tmp_path, config) as show:
            for label in ("cat", None, "dog"):
                show(label)
                # what is no text is logged on the next line
                assert node_red.wait_for(LABEL) == (label or "")
        table["webhooks"][0]["secret_file"] = secret(tmp_path, "other", "another key of the device")
        with running(tmp_path, configured(tmp_path, table)) as show:
            show("mug")
            show.reports.wait_for(lambda events: "webhook_given_up" in events)
        assert "status 401" in str(show.reports.last("webhook_given_up")["reason"])
        body, forged = b'{"data": {"label": "pen"}}', b'{"data": {"label": "bus"}}'
        for number, sent, status in (("a", body, 204), ("a", body, 204), ("b", forged, 401), ("c", body, 204)):
            headers = target.headers(Message("node-red", number, CLOUD_EVENT, body), 1_700_000_000)
            assert post(url, sent, headers, target.policy).status == status
        assert [node_red.wait_for(LABEL) for _ in "ac"] == ["pen", "pen"]


def test_the_receiver_in_python_checks_the_signature_and_acts_once(tmp_path: Path) -> None:
    table = recipes()["A receiver in Python"]
    key = secret(tmp_path, "key", "0123456789abcdef0123")
    program = [sys.executable, str(REPOSITORY / "examples" / "webhook_receiver.py"), key, "0"]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().split()[-1]
            table["webhooks"][0] |= {"url": f"http://127.0.0.1:{port}/", "secret_file": key}
            config = configured(tmp_path, table)
            with running(tmp_path, config) as show:
                show("cat")
                assert process.stdout.readline() == "cat\n"
                show("dog")
                assert process.stdout.readline() == "dog\n"
        finally:
            process.kill()


def test_a_false_signature_is_refused_by_the_receiver(tmp_path: Path) -> None:
    key = secret(tmp_path, "key", "0123456789abcdef0123")
    program = [sys.executable, str(REPOSITORY / "examples" / "webhook_receiver.py"), key, "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().split()[-1]
            table = recipes()["A receiver in Python"]
            other = secret(tmp_path, "other", "another key of the device")
            table["webhooks"][0] |= {"url": f"http://127.0.0.1:{port}/", "secret_file": other}
            with running(tmp_path, configured(tmp_path, table)) as show:
                show("cat")
                show.reports.wait_for(lambda events: "webhook_given_up" in events)
            assert "status 401" in str(show.reports.last("webhook_given_up")["reason"])
        finally:
            process.kill()
        assert "cat" not in process.stdout.read()
