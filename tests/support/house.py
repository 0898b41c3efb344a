"""Devices at a broker, for the tests: the test says what is decided, everything else is the program itself."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.config import MqttConfig
from edge_app.control import Decided
from edge_app.messages import Decision
from edge_app.mqtt.bridge import Bridge
from edge_app.mqtt.client import BackOff
from edge_app.mqtt.connection import Broker
from edge_app.mqtt.retained import RetainedTopics
from edge_app.mqtt.settings import MqttSettings
from edge_app.mqtt.topics import Topics
from support.device import Device
from support.mosquitto import WAIT_S
from support.pipeline_parts import Reports
from support.simple_network import open_learner

USUAL: dict[str, Any] = {"hold_s": 0.0, "offers_key_file": "/key"}
QUICK = 0.02, 0.1
"""Shortest and longest wait before the next attempt."""


def decided(label: str | None, sequence: int = 1, confidence: float = 0.9) -> Decided:
    spikes = np.array([5], np.int32) if label else np.zeros(0, np.int32)
    labels = (label,) if label else ()
    decision = Decision(label, labels, spikes, spikes, 5, spikes.astype(np.int64))
    return Decided(label, decision, confidence, sequence, time.time_ns(), 0, 5_000_000, 0, fresh=True, changed=True)


class House:
    """A device with a bridge; a context manager. `run`: with its loop, at `fps` frames per second, else only what
    the test says happens.

    `config` are keys of [mqtt], and `offers_key` and `broker`.
    """

    def __init__(
        self, folder: Path, port: int, name: str = "one", *, run: bool = False, fps: float = 50, **config: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.learner = open_learner(folder)
        self.device = Device(folder, self.learner, fps=fps)
        self.run = run
        self.reports = Reports()
        self.topics = Topics(config.get("base", "edge-app"), name)
        key = config.pop("offers_key", None)
        broker = config.pop("broker", None) or Broker("127.0.0.1", port, f"edge-app-{name}", max_packet=6 << 20)
        self.bridge = Bridge(
            self.device.control,
            MqttSettings(MqttConfig(**USUAL | {"name": f"Device {name}"} | config), broker, self.topics, key),
            folder,
            RetainedTopics(folder, broker.address),
            self.reports,
            backoff=BackOff(random.Random(1), shortest_s=QUICK[0], longest_s=QUICK[1]),
        )

    def decide(self, label: str | None, sequence: int = 1) -> None:
        event = decided(label, sequence)
        self.device.place.decide.last = event
        self.device.hub.tell(event)

    def wait_connected(self) -> None:
        assert self.bridge.client.connected.wait(WAIT_S), self.reports.told

    def wait_for_quiet(self) -> None:
        """Wait until the worker has no job and the broker has everything."""
        done = threading.Event()
        deadline_s = time.monotonic() + WAIT_S
        while True:
            self.bridge._worker.do(done.set)
            assert done.wait(WAIT_S)
            done.clear()
            if not self.bridge.outbox.waiting:
                return
            assert time.monotonic() < deadline_s
            self.bridge.client.wake()
            self.bridge.client.connected.wait(0.02)

    def wait_for_report(self, event: str, right: Callable[[dict[str, object]], bool] = lambda _: True) -> None:
        self.reports.wait_for(
            lambda _: any(told.event == event and right(told.fields) for told in list(self.reports.told))
        )

    def __enter__(self) -> "House":
        if self.run:
            self.device.__enter__()
        self.bridge.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bridge.close()
        if self.run:
            self.device.__exit__()
        elif self.device.visits is not None:
            self.device.visits.close()
        self.learner.close()
