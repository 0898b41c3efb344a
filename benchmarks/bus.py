"""`python -m benchmarks.bus`: the cost of MQTT for the live loop, and events across restarts of the broker.

A real Mosquitto on this machine, the real encoder and classifier, a simulated camera. Needs mosquitto on the PATH.
"""

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_app import composition, machine
from edge_app.config import Config, ConsolidationConfig, MqttConfig
from edge_app.control import Control, Decided, Hub
from edge_app.devices import open_buttons, open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.learner import Learner
from edge_app.messages import Decision
from edge_app.mqtt.bridge import Bridge
from edge_app.mqtt.client import BackOff
from edge_app.mqtt.connection import Broker
from edge_app.mqtt.retained import RetainedTopics
from edge_app.mqtt.settings import MqttSettings
from edge_app.mqtt.topics import Topics
from edge_app.pipeline.pipeline import Pipeline, one_place

RESULT = Path(__file__).resolve().parent / "results" / "bus.json"
CLASSES = 64
TOPICS = Topics("edge-app", "bench")


class Mosquitto:
    """A broker whose messages survive a restart."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            # port 0: the system chooses one that is free
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type none\npersistence true\n"
            f"persistence_location {folder}/\nmax_queued_messages 100000\n"
        )
        self._program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") or "mosquitto"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 the program is named above
            [self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL
        )

        pause, end_s = threading.Event(), time.monotonic() + 60
        while time.monotonic() < end_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                pause.wait(0.05)
        raise SystemExit("mosquitto does not start")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def device(folder: Path, fps: int) -> Iterator[tuple[Pipeline, Hub, Control]]:
    """The real parts, with a simulated camera."""
    manifest, clock, hub = load_manifest(), MonotonicClock(), Hub()
    with ExitStack() as stack:
        learner = stack.enter_context(Learner.open(folder, manifest))
        encoder = stack.enter_context(TFLiteEncoder(manifest))
        camera = open_camera(f"sim:scene=shapes,size=320x240,fps={fps}", clock)
        stack.callback(camera.close)
        buttons = stack.enter_context(open_buttons("sim:", clock))

        def preprocess() -> Preprocessor:
            return Preprocessor(manifest.input_size, crop=manifest.crop)

        pipeline = Pipeline(
            one_place(camera, buttons, None, preprocess, encoder, learner, manifest.input_size),
            clock,
            lambda *_, **__: None,
            Config(consolidation=ConsolidationConfig(enabled=False)),
            tell=hub.tell,
        )
        control = composition.make_control(Config(), folder, manifest, encoder, pipeline.first, hub, clock)
        yield pipeline, hub, control


def decided(number: int) -> Decided:
    labels = tuple(f"class {index}" for index in range(CLASSES))
    spikes = np.arange(CLASSES, dtype=np.int32)
    decision = Decision(labels[number % 2], labels, spikes, spikes, 3, spikes.astype(np.int64))
    return Decided(labels[number % 2], decision, 0.9, number, time.time_ns(), 0, 5_000_000, 0, fresh=True, changed=True)


def microseconds(work: Callable[[Decided], None], events: list[Decided]) -> dict[str, float]:
    times = []
    for one in events:
        began = time.perf_counter_ns()
        work(one)
        times.append((time.perf_counter_ns() - began) / 1000)
    cuts = statistics.quantiles(times, n=100)
    return {"median_us": round(cuts[49], 2), "p95_us": round(cuts[94], 2), "p99_us": round(cuts[98], 2)}


def bridge_of(control: Control, port: int, folder: Path, hold_s: float, buffer: int = 1000) -> Bridge:
    broker = Broker("127.0.0.1", port, "edge-app-bench")
    return Bridge(
        control,
        MqttSettings(MqttConfig(name="bench", hold_s=hold_s, buffer=buffer), broker, TOPICS),
        folder,
        RetainedTopics(folder, broker.address),
        lambda *_, **__: None,
        # far shorter than a device's, so that the broker's restarts are measured and not the waiting between attempts
        backoff=BackOff(random.Random(1), shortest_s=0.1, longest_s=0.2),
    )


def costs(folder: Path, broker: Mosquitto) -> dict[str, Any]:
    """Measure the cost of one decision for its stage: published or not, with a broker and without."""
    found: dict[str, Any] = {}
    with device(folder, 10) as (_, hub, control):
        # a decision is published only when the label changes
        same, changing = [decided(0)] * 5000, [decided(number) for number in range(5000)]
        with bridge_of(control, broker.port, folder, 0.0, 20_000) as bridge:
            bridge.start()
            bridge.client.connected.wait(30)
            found["not_told"] = microseconds(hub.tell, same)
            found["told"] = microseconds(hub.tell, changing)
        # nothing listens on port 1
        with bridge_of(control, 1, folder, 0.0) as bridge:
            bridge.start()
            found["told_without_a_broker_buffer_full"] = microseconds(hub.tell, changing)
    return found


def busy_s() -> float:
    """Return the processor time of MQTT's threads so far, seconds."""
    clocks = [
        # the threads' own clocks: the encoder uses most of the process's time, and would hide MQTT's share
        time.pthread_getcpuclockid(thread.ident)
        for thread in threading.enumerate()
        if thread.ident is not None and thread.name.startswith("mqtt")
    ]
    return sum(time.clock_gettime(clock) for clock in clocks)


def rates(folder: Path, broker: Mosquitto, rounds: int, seconds: float) -> dict[str, Any]:
    """Decisions per second without and with MQTT (hold 0.5 s), in turns, and the processor time of MQTT's threads."""
    found: dict[str, list[float]] = {"without": [], "with": []}
    shares, told = [], 0
    pause = threading.Event()
    with device(folder, 400) as (pipeline, _, control):
        pipeline.start()
        pipeline.first_decision.wait(120)
        for label in ("first", "second", "third"):  # so that decisions change with the scene
            control.teach(label)
            pause.wait(2.0)
        # in turns, so that other load on the machine affects both alike
        for _ in range(rounds):
            for kind, values in found.items():
                with ExitStack() as stack:
                    if kind == "with":
                        bridge = stack.enter_context(bridge_of(control, broker.port, folder, 0.5))
                        bridge.start()
                        bridge.client.connected.wait(30)
                    decided, began, busy = pipeline.status().decided, time.monotonic(), busy_s()
                    pause.wait(seconds)
                    passed = time.monotonic() - began
                    values.append((pipeline.status().decided - decided) / passed)
                    if kind == "with":
                        shares.append((busy_s() - busy) / passed)
                        told += bridge.labels_published
        pipeline.stop(10)
    means = {kind: statistics.mean(values) for kind, values in found.items()}
    return {kind: round(mean, 1) for kind, mean in means.items()} | {
        "ratio": round(means["with"] / means["without"], 3),
        "labels_told": told,
        "bus_threads_percent_of_a_processor": round(100 * statistics.median(shares), 2),
    }


class Observer:
    """Subscribes to the device's events in a session that outlives a restart of the broker, and notes their numbers."""

    def __init__(self, port: int, last: int) -> None:
        self._numbers: list[int] = []
        self._last = last
        self.complete = threading.Event()
        """Set with the event numbered `last`."""
        self._client = Client(CallbackAPIVersion.VERSION2, "bench-observer", protocol=MQTTProtocolVersion.MQTTv5)
        kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        # the broker keeps the session, and the messages for it, while the observer is away
        kept.SessionExpiryInterval = 3600
        self._client.on_message = self._received
        self._client.on_connect = lambda client, *_: client.subscribe(TOPICS.own("event"), 1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port, clean_start=False, properties=kept)
        self._client.loop_start()

    def _received(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._numbers.append(json.loads(message.payload)["number"])
        if self._numbers[-1] == self._last:
            self.complete.set()

    def stop(self) -> list[int]:
        """Disconnect, and return the numbers in the order of arrival."""
        self._client.disconnect()
        self._client.loop_stop()
        return self._numbers


def restarts(folder: Path, broker: Mosquitto, changes: int, away: int) -> dict[str, Any]:
    """Send changes of the decision while the broker is restarted `away` times; count those that arrive, and when."""
    observer = Observer(broker.port, changes)
    with device(folder, 10) as (_, hub, control), bridge_of(control, broker.port, folder, 0.0, 100_000) as bridge:
        bridge.start()
        bridge.client.connected.wait(30)
        began = time.monotonic()
        for number in range(1, changes + 1):
            hub.tell(decided(number))
            step, place = divmod(number, changes // (2 * away))
            if place == 0 and number < changes:
                # half of the changes are made while the broker is away
                broker.stop() if step % 2 else broker.start()
        broker.start() if broker._process.poll() is not None else None
        told_s = time.monotonic() - began
        observer.complete.wait(300)
        here_s = time.monotonic() - began
        lost = bridge.outbox.lost
    numbers = observer.stop()
    return {
        "changes": changes,
        "restarts": away,
        "arrived": len(set(numbers)),
        # QoS 1 may deliver a message twice: only the first arrival counts for the order
        "in_order": list(dict.fromkeys(numbers)) == list(range(1, changes + 1)),
        "twice": len(numbers) - len(set(numbers)),
        "dropped": lost,
        "told_in_s": round(told_s, 2),
        "all_arrived_after_s": round(here_s, 2),
    }


def main() -> int:
    """Measure and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-app-") as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        try:
            result = {
                "machine": machine.describe(),
                "load": os.getloadavg()[0],
                "answer": costs(folder / "a", broker),
                "decisions_per_second": rates(folder / "b", broker, args.rounds, args.seconds),
                "broker_restarts": restarts(folder / "c", broker, args.changes, args.restarts),
            }
        finally:
            broker.stop()
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
