"""Between the device and the broker: what happens here goes there, and what is wanted there is done here.

Nothing of it keeps the loop waiting: the stages' threads only put what happened into the outbox.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_app.closing import Closing
from edge_app.config import MqttConfig
from edge_app.control import Control, Decided, Event, FrameGone, Health
from edge_app.messages import Report
from edge_app.mqtt import discovery, payloads
from edge_app.mqtt.backoff import BackOff
from edge_app.mqtt.client import MqttClient
from edge_app.mqtt.commands import Commands
from edge_app.mqtt.connection import Incoming
from edge_app.mqtt.debounce import Debouncer
from edge_app.mqtt.fleet import Fleet
from edge_app.mqtt.payloads import to_json
from edge_app.mqtt.settings import MqttSettings
from edge_app.mqtt.worker import CommandWorker

LOOK_S = 1.0
"""How often the device's health is looked at."""
MEASURES_S = 60.0
"""How often it is told when nothing but its figures changed."""


class Bridge(Closing):
    """Tells the broker what happens, and does what comes from it. A context manager; `start` begins."""

    def __init__(
        self,
        control: Control,
        settings: MqttSettings,
        folder: Path,
        report: Report,
        *,
        backoff: BackOff | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`folder` keeps which offers were settled; `monotonic` gives nanoseconds. Raises RuntimeMissing."""
        self._control = control
        config = self._config = settings.config
        self._name = settings.name
        self._monotonic = monotonic
        self._topics = settings.topics
        self._settle = Debouncer(config.hold_s)
        self._telling = threading.Lock()
        self._run_id = secrets.token_hex(4)
        self._events = self._labels = 0
        self._picture_due = False
        self._shown: int | None = None
        """A frame that was told, and that someone may want to teach."""
        self._look_ns = self._measures_ns = 0
        self._condition: dict[str, Any] = {}
        self._refresh_due = False
        self._announced: dict[str, bytes] | None = None
        self._unlisten: Callable[[], None] = lambda: None
        will, backoff = (self._topics.own("status"), b"offline"), backoff or BackOff(random.Random())
        self.speaker = MqttClient(
            settings.broker, config.buffer, will, self, report, backoff or BackOff(random.Random())
        )
        self.outbox = self.speaker.outbox
        self._fleet = Fleet(
            control,
            self.outbox,
            self._topics,
            folder,
            self._tell,
            mode=config.offers,
            key=settings.offers_key,
            largest=config.offer_bytes,
        )
        self._commands = Commands(control, self._fleet, self._chosen)
        self._clerk = CommandWorker(self._commands, config.commands, self._topics, self.outbox)

    def start(self) -> None:
        """Begin to listen to the device and to look for the broker; returns at once."""
        own = self._topics.own
        self.outbox.state(own("status"), b"online")
        if not self._config.picture_side:
            self.outbox.state(own("picture"), b"")
        if self._config.commands != "none":
            self.speaker.want([self._topics.commands])
        else:
            self.outbox.state(own("choice"), b"")
        if self._config.offers != "off":
            self.speaker.want([self._topics.offers])
        self._refresh()
        self._unlisten = self._control.listen(self._happened)
        self._clerk.start()
        self.speaker.start()

    def take_no_more(self) -> None:
        """Carry out no further commands, while what happens is still told."""
        self._clerk.close()

    def close(self) -> None:
        """Say that the device is offline and let go, within 2 s whatever the broker does."""
        self._unlisten()
        self.take_no_more()
        self.outbox.state(self._topics.own("status"), b"offline")
        self.speaker.close()

    @property
    def labels_told(self) -> int:
        """Decisions that were worth telling since the start."""
        return self._labels

    # What happens on the device; called by the stages' threads

    def _happened(self, event: Event) -> None:
        if isinstance(event, Decided):
            worth = self._settle.see(event.label, event.confidence, self._monotonic())
            if worth is not None:
                self._tell_decision(event, worth == "label")
        elif isinstance(event, Health):
            self._look_ns = 0
            self.speaker.wake()
        else:
            self._tell(*payloads.event(event))
            self._refresh()

    def _tell_decision(self, event: Decided, changed: bool) -> None:
        self._labels += changed
        decision = payloads.decision(event, self._labels)
        if changed:
            self._picture_due = True
            self._shown = event.sequence
            self._tell("decided", decision)
        self.outbox.state(self._topics.own("decision"), to_json(decision))

    def _tell(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "offer_refused" and self.outbox.crowded:
            return  # whoever floods us with offers must not cost us events
        with self._telling:
            self._events += 1
            head = {"event_type": kind, "event_number": self._events, "run": self._run_id}
            self.outbox.event(self._topics.own("event"), to_json(head | fields))

    # What the speaker calls

    def look(self) -> None:
        """Tell the device's health where it changed, and once a minute; and a picture where one is due."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + round(LOOK_S * 1e9)
            status = self._control.status()
            condition = payloads.condition(status, self.outbox.lost)
            if condition != self._condition or now_ns >= self._measures_ns:
                self._condition = condition
                self._measures_ns = now_ns + round(MEASURES_S * 1e9)
                self.outbox.state(self._topics.own("health"), to_json(condition | payloads.measures(status)))
        shown, self._shown = self._shown, None
        if shown is not None and self._config.commands != "none":
            self._control.keep(shown)
        if self._picture_due and self._config.picture_side:
            self._picture_due = False
            try:
                self.outbox.state(self._topics.own("picture"), self._control.picture(self._config.picture_side).jpeg)
            except FrameGone:
                return

    def came(self, message: Incoming) -> None:
        """Take in a message from the broker."""

        def dealt_with() -> None:
            self.speaker.acknowledge(message)

        name = self._topics.command(message.topic)
        if name is not None:
            self._clerk.command(name, message, dealt_with)
        elif self._topics.offering(message.topic) is not None:
            if message.qos:  # we send none of QoS 0, which the broker could not hold back
                self._clerk.do(lambda: self._take_offer(message))
        else:
            announced = self._announced or {}
            if message.retained and message.payload and message.topic not in announced:
                self.outbox.remove(message.topic)  # announced by an earlier run, and gone since
            dealt_with()

    # What the clerk does

    def _take_offer(self, message: Incoming) -> None:
        try:
            self._fleet.received(message.topic, message.payload)
        finally:
            self.speaker.acknowledge(message)

    def _refresh(self) -> None:
        """Have the classes told anew; they are read from the store, so by the clerk."""
        if not self._refresh_due:
            self._refresh_due = True
            self._clerk.do(self._tell_classes)

    def _tell_classes(self) -> None:
        self._refresh_due = False
        reports = self._control.classes()
        labels = [report.label for report in reports]
        self.outbox.state(self._topics.own("classes"), to_json(payloads.classes(reports)))
        if self._config.commands != "none" and self._commands.choice not in labels:
            self._commands.choice = labels[0] if labels else None
            self._chosen(self._commands.choice)
        self._announce(labels)

    def _chosen(self, label: str | None) -> None:
        self.outbox.state(self._topics.own("choice"), (label or "").encode())

    def _announce(self, labels: list[str]) -> None:
        config, before = self._config, self._announced
        prefix = config.discovery
        now: dict[str, bytes] = {}
        if prefix:
            now = discovery.announcements(
                prefix,
                self._topics,
                self._name,
                labels,
                commands=config.commands != "none",
                pictures=bool(config.picture_side),
            )
        for topic in (before or {}).keys() - now.keys():
            self.outbox.state(topic, b"")
        for topic, content in now.items():
            self.outbox.state(topic, content)
        self._announced = now
        if before is None:  # only now is it known which of those announced earlier are gone
            self.speaker.want([discovery.pattern(prefix or MqttConfig().discovery, self._topics.device)])
