"""Between the device and the broker: publishes what happens here, and carries out what is asked there.

The pipeline never waits for it: the stages' threads only add messages to the outbox.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_app.closing import Closing
from edge_app.config import MqttConfig
from edge_app.control import Control, Decided, Event, FrameGone, Health
from edge_app.errors import EdgeAppError
from edge_app.messages import Report
from edge_app.mqtt import discovery, payloads
from edge_app.mqtt.choice import Choice
from edge_app.mqtt.client import BackOff, MqttClient
from edge_app.mqtt.commands import Commands
from edge_app.mqtt.connection import Incoming
from edge_app.mqtt.debounce import Debouncer
from edge_app.mqtt.fleet import Fleet
from edge_app.mqtt.outbox import Outgoing
from edge_app.mqtt.payloads import to_json
from edge_app.mqtt.retained import RetainedTopics
from edge_app.mqtt.settings import MqttSettings
from edge_app.mqtt.worker import CommandWorker

HEALTH_S = 1.0
"""Between two checks of the device's health."""
MEASURES_S = 60.0
"""The health is published this often if only its figures change."""
TODAY_S = 30.0
"""Between two countings of today's visits."""


class Bridge(Closing):
    """A place at the broker. A context manager; `start` begins, after the bridges of all places were made."""

    def __init__(
        self,
        control: Control,
        settings: MqttSettings,
        folder: Path,
        retained: RetainedTopics,
        report: Report,
        *,
        backoff: BackOff | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`folder` is the group's, `retained` that of all places; `monotonic` in ns. Raises RuntimeMissing."""
        self._control, self._retained = control, retained
        self._config, self._settings = settings.config, settings
        self._monotonic, self._topics = monotonic, settings.topics
        self._debouncer = Debouncer(settings.config.hold_s)
        self._publishing = threading.Lock()  # number and order of events agree, whoever publishes them
        self._run_id = secrets.token_hex(4)  # numbers begin again: it tells a restart from a loss
        self._events = self._labels = 0
        self._picture_due = self._classes_due = False
        self._published_frame: int | None = None  # the newest, which a client may want to teach
        self._health_ns = self._measures_ns = self._today_ns = 0
        self._condition: dict[str, Any] = {}
        self._announced: dict[str, bytes] | None = None
        self._announced_classes: dict[str, None] = {}  # since the start, in order
        self._removed: frozenset[str] = frozenset()  # topics that an earlier run used
        self._counting = False  # whether the device counts visits
        self._stop_listening: Callable[[], None] = lambda: None
        # the broker publishes it when the connection breaks off
        will = self._topics.own("status"), b"offline"
        self.client = MqttClient(
            settings.broker, settings.config.buffer, will, self, report, backoff or BackOff(random.Random())
        )
        self.outbox = self.client.outbox
        retained.claim(self._owns)
        self._fleet = Fleet(control, self.outbox, settings, folder, retained, self._publish)
        self._choice = Choice(control)
        commands = Commands(control, self._fleet, self._choice, self._publish_soon)
        self._worker = CommandWorker(commands, settings.config.commands, self._topics, self.outbox)

    def start(self) -> None:
        """Listen to the device and connect to the broker; returns at once."""
        own = self._topics.own
        self.outbox.state(own("status"), b"online")
        self._counting = self._control.status().history != "off"
        if not self._counting:
            self.outbox.state(own("today"), b"")
        if not self._config.picture_side:
            # an earlier run with pictures may have left one on the broker
            self.outbox.state(own("picture"), b"")
        if self._settings.takes_commands:
            self.client.subscribe([self._topics.commands])
        else:
            self.outbox.state(own("choice"), b"")
        if self._config.offers != "off":
            self.client.subscribe([self._topics.offers])
        self._publish_soon()
        # before the client: what happens while it connects waits in the outbox
        self._stop_listening = self._control.listen(self._happened)
        self._worker.start()
        self.client.start()

    def stop_commands(self) -> None:
        """Carry out no further commands, while events are still published."""
        self._worker.close()

    def close(self) -> None:
        """Publish that the device is offline and disconnect, within 2 s whatever the broker does."""
        self._stop_listening()
        self.stop_commands()
        self.outbox.state(self._topics.own("status"), b"offline")
        self.client.close()

    @property
    def labels_published(self) -> int:
        """Labels published since the start."""
        return self._labels

    # Events of the device; called by the stages' threads

    def _happened(self, event: Event) -> None:
        if isinstance(event, Decided):
            change = self._debouncer.see(event.label, event.confidence, self._monotonic())
            if change is not None:
                self._publish_decision(event, change == "label")
        elif isinstance(event, Health):
            # published at the next poll rather than within HEALTH_S
            self._health_ns = 0
            self.client.wake()
        else:
            self._publish(*payloads.event_fields(event))
            self._publish_soon()

    def _publish_decision(self, event: Decided, changed: bool) -> None:
        self._labels += changed
        decision = payloads.decision(event, self._labels)
        if changed:
            self._picture_due = True
            self._published_frame = event.sequence
            self._publish("decided", decision)
        self.outbox.state(self._topics.own("decision"), to_json(decision))

    def _publish(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "offer_refused" and self.outbox.crowded:
            return  # a flood of offers must not displace events
        with self._publishing:
            self._events += 1
            head = {"event_type": kind, "event_number": self._events, "run": self._run_id}
            self.outbox.event(self._topics.own("event"), to_json(head | fields))

    # Called by the client

    def poll(self) -> None:
        """Publish the health if it changed, and once a minute; and a picture if one is due."""
        # in the client's thread: making a picture takes time, which the stages' threads do not have
        now_ns = time.monotonic_ns()
        if now_ns >= self._health_ns:
            self._health_ns = now_ns + round(HEALTH_S * 1e9)
            status = self._control.status()
            condition = payloads.condition(status, self.outbox.lost)
            if condition != self._condition or now_ns >= self._measures_ns:
                self._condition = condition
                self._measures_ns = now_ns + round(MEASURES_S * 1e9)
                self.outbox.state(self._topics.own("health"), to_json(condition | payloads.measures(status)))
        if self._counting and now_ns >= self._today_ns:
            self._today_ns = now_ns + round(TODAY_S * 1e9)
            # not here: a database is read, while messages wait for this thread
            self._worker.do(self._publish_today)
        # kept, so that a client which saw the decision can teach its frame
        frame, self._published_frame = self._published_frame, None
        if frame is not None and self._settings.takes_commands:
            self._control.keep(frame)
        if self._picture_due and self._config.picture_side:
            self._picture_due = False
            try:
                picture = self._control.picture(self._config.picture_side)
            except FrameGone:  # the camera is away: no picture is better than an old one
                return
            self.outbox.state(self._topics.own("picture"), picture.jpeg)

    def received(self, message: Incoming) -> None:
        """Process a message from the broker."""

        def dealt_with() -> None:
            self.client.acknowledge(message)

        name = self._topics.command(message.topic)
        if name is not None:
            self._worker.command(name, message, dealt_with)
        elif self._topics.offering(message.topic) is not None:
            if message.qos:  # devices publish none of QoS 0, which the broker could not hold back
                self._worker.do(lambda: self._receive_offer(message))
        else:
            # announced by an earlier run, and gone since
            unknown = message.retained and message.topic not in (self._announced or {})
            if message.payload and (unknown or message.topic in self._removed):
                self.outbox.remove(message.topic)
            dealt_with()

    def delivered(self, message: Outgoing) -> None:
        """Note that the broker has a message."""
        if message.retained and not message.payload:
            self._worker.do(lambda: self._forget_topic(message.topic))

    # Jobs of the worker

    def _receive_offer(self, message: Incoming) -> None:
        try:
            self._fleet.received(message.topic, message.payload)
        finally:
            self.client.acknowledge(message)

    def _forget_topic(self, topic: str) -> None:
        if topic not in self._topics.states and not self.outbox.holds(topic):  # else it may be published again
            self._retained.discard(topic)

    def _publish_soon(self) -> None:
        """Let the worker publish the classes; it reads them from the store, which may wait."""
        if not self._classes_due:
            # one job however often this is called: the job publishes what is stored then
            self._classes_due = True
            self._worker.do(self._publish_classes)

    def _publish_today(self) -> None:
        now_ns = time.time_ns()
        # the day of this moment
        with suppress(EdgeAppError):  # the history itself reports it
            counts = self._control.history.store.counts("day", now_ns, now_ns + 1)
            self.outbox.state(self._topics.own("today"), to_json(payloads.today(counts)))

    def _publish_classes(self) -> None:
        # before reading: a change that comes meanwhile makes another job
        self._classes_due = False
        reports = self._control.classes()
        labels = [report.label for report in reports]
        self.outbox.state(self._topics.own("classes"), to_json(payloads.classes(reports)))
        changed = self._announce(labels)
        if self._settings.takes_commands:
            # after the options that it belongs to: Home Assistant ignores a choice that is not among them
            choice = self._choice.among(labels) or ""
            self.outbox.state(self._topics.own("choice"), choice.encode(), again=changed)

    def _announce(self, labels: list[str]) -> bool:
        """Publish the entities; return whether any changed. The first time, remove what earlier runs left."""
        before = self._announced
        now = self._entities(labels)
        # before they are published: after a power cut in between nobody would know the topics
        self._retained.add((*now, *self._topics.states))
        old = self._announced_singly() if before is None else []
        for topic in old:
            self.outbox.retain(topic, discovery.MIGRATE)
        for topic in (before or {}).keys() - now.keys():
            self.outbox.state(topic, b"")
        for topic, content in now.items():
            self.outbox.state(topic, content)
        self._announced = now
        if before is None:
            leftovers = self._retained.leftovers()
            for topic in (*old, *leftovers):
                self._fleet.remove(topic)
            # after a power cut the broker may publish the last will of an earlier run only now
            self._removed = frozenset(leftovers)
            self.client.subscribe([topic for topic in leftovers if topic.endswith("/status")])
            # and what a run before this list was kept had announced
            prefix = self._config.discovery or MqttConfig().discovery
            self.client.subscribe(discovery.patterns(prefix, self._topics.device))
        return now != before

    def _announced_singly(self) -> list[str]:
        """Return the topics of entities that an earlier version announced, and that the device takes over."""
        return sorted(filter(self._is_earlier, self._retained.topics))

    def _is_earlier(self, topic: str) -> bool:
        prefix = self._config.discovery
        return bool(prefix) and discovery.earlier(topic, prefix, self._topics.device)

    def _owns(self, topic: str) -> bool:
        """Return whether this place uses a topic, or removes it by itself."""
        prefix, device = self._config.discovery, self._topics.device
        return (
            topic in self._topics.states
            or (bool(prefix) and topic == discovery.topic_of(prefix, device))
            or self._is_earlier(topic)
            # offers of earlier runs stay: other devices may still import them
            or self._topics.offering(topic) == device
        )

    def _entities(self, labels: list[str]) -> dict[str, bytes]:
        if not self._config.discovery:
            return {}
        self._announced_classes |= dict.fromkeys(labels)
        content = discovery.announcement(
            self._topics,
            self._settings.name,
            labels,
            history=self._counting,
            gone=[label for label in self._announced_classes if label not in labels],
            commands=self._settings.takes_commands,
            pictures=bool(self._config.picture_side),
            page=self._config.page,
        )
        return {discovery.topic_of(self._config.discovery, self._topics.device): content}
