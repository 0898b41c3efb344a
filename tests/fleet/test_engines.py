"""A fleet with the engines themselves: Mosquitto with the access list, Prometheus with the dashboard, 100 devices."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_app.machine import memory_mb
from edge_app.mqtt.connection import Broker
from support.fleet import FLEET, REPOSITORY, expressions
from support.house import House
from support.mosquitto import Mosquitto, Observer, free_port
from support.served import Served
from support.simple_network import embedding, open_learner

pytestmark = pytest.mark.slow

KEY = b"a key that the whole fleet shares"
SIGNED: dict[str, Any] = {"commands": "administer", "offers": "signed", "offers_key": KEY, "discovery": ""}
DEVICES = 100


@contextmanager
def guarded_broker(folder: Path, *users: str) -> Iterator[Mosquitto]:
    """Run Mosquitto with fleet/mosquitto/acl; each user's password is the name."""
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for user in users:
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, user], check=True, capture_output=True)
    shutil.copy(FLEET / "mosquitto" / "acl", folder / "acl")
    (folder / "acl").chmod(0o600)
    broker = Mosquitto(folder, f"password_file {passwords}", f"acl_file {folder / 'acl'}", "allow_anonymous false")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="needs mosquitto_passwd")
def test_the_access_list_lets_devices_work_and_keeps_them_apart(tmp_path: Path) -> None:
    with guarded_broker(tmp_path, "one", "two", "homeassistant", "fleet") as broker, ExitStack() as stack:

        def client(user: str, *topics: str) -> Observer:
            observer = Observer(broker.port, *topics, user=user, password=user)
            stack.callback(observer.close)
            return observer

        own = Broker("127.0.0.1", broker.port, "edge-app-one", "one", "one")
        with House(tmp_path / "state", 0, "one", run=True, broker=own, commands="administer", offers="by-hand") as one:
            one.wait_connected()
            fleet, home = client("fleet", "edge-app/#"), client("homeassistant", "edge-app/#", "homeassistant/#")
            home.send("edge-app/one/command/teach", b'{"label": "cup"}')
            fleet.last("edge-app/one/response", bool)
            assert one.learner.classes() == {"cup": 1}
            home.last("homeassistant/device/edge-app-one/config", bool)
            # what the list does not allow is dropped by the broker; what follows shows that it was not merely late
            home.send("edge-app/one/command/forget_class", b'{"label": "cup"}')
            two = client("two", "edge-app/#")
            two.send("edge-app/one/command/forget_class", b'{"label": "cup"}')
            two.send("edge-app/one/decision", b"{}")
            two.send("edge-app/two/status", b"online")
            fleet.last("edge-app/two/status", lambda payload: payload == b"online")
            home.send("edge-app/one/command/teach", b'{"label": "key"}')
            fleet.wait_for(lambda _: len(fleet.of("edge-app/one/response")) == 2)
            assert one.learner.classes() == {"cup": 1, "key": 1}
            assert b"{}" not in fleet.of("edge-app/one/decision")
            assert {heard.topic.split("/")[1] for heard in two.heard} <= {"two", "offers"}


def stop_all(houses: list[House]) -> None:
    with ThreadPoolExecutor(DEVICES) as pool:
        list(pool.map(House.__exit__, houses))


def test_a_class_taught_on_one_reaches_all_others(tmp_path: Path) -> None:
    """`KEEP=1` writes the figures to benchmarks/results/fleet.json."""
    before = memory_mb()["rss"] or 0.0
    broker = Mosquitto(tmp_path, "message_size_limit 6291456", "max_queued_messages 10000").start()
    with open_learner(tmp_path / "device0") as learner:
        for number in range(5):
            learner.teach(embedding(number), "cup", source="test", thumbnail=b"picture")
    with ExitStack() as stack:
        stack.callback(broker.stop)
        seen = Observer(broker.port, "edge-app/#")
        stack.callback(seen.close)
        houses = [
            House(tmp_path / f"device{number}", broker.port, f"device{number}", run=True, fps=2, **SIGNED)
            for number in range(DEVICES)
        ]
        with ThreadPoolExecutor(DEVICES) as pool:  # each waits for its first frames
            list(pool.map(House.__enter__, houses))
        stack.callback(stop_all, houses)
        for house in houses:
            house.wait_connected()
        rss = memory_mb()["rss"] or 0.0
        start = time.monotonic()
        seen.send("edge-app/device0/command/offer", b'{"label": "cup"}')

        def accepted() -> int:
            events = [heard.payload for heard in list(seen.heard) if heard.topic.endswith("/event")]
            return sum(b'"offer_accepted"' in payload for payload in events)

        seen.wait_for(lambda _: accepted() == DEVICES - 1)
        spread_s = time.monotonic() - start
        assert all(house.learner.classes() == {"cup": 5} for house in houses)
        figures = {
            "devices": DEVICES,
            "until_the_last_one_knows_s": round(spread_s, 1),
            "messages": len(seen.heard),
            "memory_of_a_device_mb": round((rss - before) / DEVICES, 2),
            "cores": os.cpu_count(),
        }
        print(figures)
        if os.environ.get("KEEP"):
            path = REPOSITORY / "benchmarks" / "results" / "fleet.json"
            path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@pytest.fixture
def prometheus(tmp_path: Path, served: Served) -> Iterator[str]:
    """Prometheus with fleet/prometheus, but for the targets and the interval; its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs prometheus: apt-get install prometheus")
    shutil.copytree(FLEET / "prometheus", tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "prometheus.yml"
    text = path.read_text().replace("15s", "1s")
    start = text.index("- targets:")
    path.write_text(f'{text[:start]}- targets: ["127.0.0.1:{served.server.port}"]\n')
    port = free_port()
    command = [program, f"--config.file={path}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=info"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Server is ready" in line:
                break
        try:
            assert process.poll() is None, "".join(lines)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.stderr.read()


def test_prometheus_scrapes_a_device_and_answers_every_panel_and_alert(prometheus: str, served: Served) -> None:
    served.http.post("/api/v1/classes/cup/teach")

    def ask(expression: str) -> list[Any]:
        url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", (expression, found)
        result: list[Any] = found["data"]["result"]
        return result

    deadline = time.monotonic() + 60
    while not ask('edge_app_class_examples{class="cup"} == 1'):  # each query waits for the network, not for time
        assert time.monotonic() < deadline
    assert ask('up{job="edge-app"} == 1')
    for title, expression in expressions().items():
        ask(expression)
        for name in {part for part in expression.replace("(", " ").split() if part.startswith("edge_app_")}:
            metric = name.partition("[")[0].partition("{")[0].strip(")")
            if metric != "edge_app_temperature_celsius":  # not every machine has a sensor
                assert ask(metric), (title, metric)
