"""Classes offered by this device, and classes imported from the offers of others."""

import io
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edge_app.control import Control
from edge_app.errors import EdgeAppError, InputError
from edge_app.mqtt.inbox import Inbox
from edge_app.mqtt.offers import Offer, pack, unpack
from edge_app.mqtt.outbox import Outbox
from edge_app.mqtt.retained import RetainedTopics
from edge_app.mqtt.settings import MqttSettings
from edge_app.storage.errors import os_errors

MAX_OFFERED = 16
"""Classes that a device offers; they are kept in memory, to be published again if the broker has lost them."""
OFFER = "mqtt offer "
"""Prefix of the keys of references to an offered class, followed by the topic."""

Publish = Callable[[str, dict[str, Any]], None]
"""Publishes an event, given its type and fields."""


class Fleet:
    """Offers of classes. Its methods may wait for the disk, so not in the thread of the connection."""

    def __init__(
        self,
        control: Control,
        outbox: Outbox,
        settings: MqttSettings,
        folder: Path,
        retained: RetainedTopics,
        publish: Publish,
    ) -> None:
        """`folder` keeps the memory of decided offers; `publish` receives what happens to offers of others."""
        self._control = control
        self._outbox = outbox
        self._topics = settings.topics
        self._retained = retained
        self._publish = publish
        self._mode = settings.config.offers
        self._key = settings.offers_key
        self._max_bytes = settings.config.offer_bytes
        self._inbox = Inbox(folder, 4 * self._max_bytes)
        self._offered: set[str] = set()
        """Topics of the offers of this run."""

    def offer(self, label: str) -> dict[str, Any]:
        """Offer a class to the other devices, replacing an earlier offer of it. Raises EdgeAppError."""
        self._check_on()
        topic = self._topics.offer(label)
        if topic not in self._offered and len(self._offered) >= MAX_OFFERED:
            raise InputError(f"{MAX_OFFERED} classes are offered already: withdraw one")
        stream = io.BytesIO()
        count = self._control.export([label], stream)
        message = pack(self._topics.device, label, count, time.time_ns() // 1_000_000, stream.getvalue(), self._key)
        if len(message) > self._max_bytes:
            raise InputError(
                f"class {label!r} with {count} examples has {len(message)} bytes, an offer at most {self._max_bytes}: "
                "raise mqtt.offer_mb on all devices, or use `edge-app export` and import"
            )
        # the topic follows from the name: after a renaming the old one would offer the class twice
        for earlier in self._topics_of(label) - {topic}:
            self.remove(earlier)
        # before it is published, see retained.py
        self._retained.add([topic])
        self._control.references.set(OFFER + topic, label)
        self._outbox.state(topic, message)
        self._offered.add(topic)
        return {"label": label, "examples": count, "bytes": len(message), "signed": self._key is not None}

    def withdraw(self, label: str) -> dict[str, Any]:
        """Withdraw the offer of a class, also one of an earlier run or made under an earlier name of the class.

        Devices that have imported the class keep it.
        """
        for topic in self._topics_of(label) | {self._topics.offer(label)}:
            self.remove(topic)
        return {"label": label}

    def remove(self, topic: str) -> None:
        """Remove the offer of this device, or of an earlier name of it, from a topic."""
        self._outbox.state(topic, b"")
        self._offered.discard(topic)
        self._control.references.remove(OFFER + topic)

    def received(self, topic: str, payload: bytes) -> None:
        """Process a message on a topic of offers: by hand, the offer waits; signed, it is imported."""
        device = self._topics.offering(topic)
        # noLocal suppresses our own; another client may have published under our name
        if device is None or device == self._topics.device or self._mode == "off":
            return
        if not payload:
            self._inbox.withdrawn(topic)
            return
        try:
            if len(payload) > self._max_bytes:
                raise InputError(f"the offer has {len(payload)} bytes, expected at most {self._max_bytes}")
            offer = unpack(payload, self._key, only_signed=self._mode == "signed")
            # an access list of the broker may bind devices to topics, but not to what a message says
            if offer.device != device:
                raise InputError(f"the offer names the device {offer.device!r}, and was published by {device!r}")
            if not self._inbox.put(topic, offer):
                return
            if self._mode == "signed":
                self._import_signed(topic, offer)
            else:
                self._publish("offer_received", offer.to_dict())
        except EdgeAppError as error:
            self._publish("offer_refused", {"device": device, "reason": str(error)})

    def listed(self) -> list[dict[str, Any]]:
        """Return the offers that wait."""
        return [offer.to_dict() for offer in self._inbox.waiting()]

    def accept(self, offer_id: str) -> dict[str, Any]:
        """Import the examples of an offer, all or none. Raises EdgeAppError: then the offer still waits."""
        self._check_on()
        offer = self._inbox.find(offer_id)
        # the import reads a file, because it reads zip entries at any place
        place = Path(tempfile.gettempdir())
        with ExitStack() as stack:
            with os_errors(place, "keep the offer while it is read"):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-app-"))
                path = Path(folder) / "offer.zip"
                path.write_bytes(offer.content)
            done = self._control.import_(path, source=f"mqtt offer of {offer.device}")
        # after the import: if it fails the offer still waits
        self._inbox.settle(offer, "accepted")
        result = offer.to_dict() | {"added": done.added, "skipped": done.skipped}
        self._publish("offer_accepted", result)
        return result

    def decline(self, offer_id: str) -> dict[str, Any]:
        """Decline an offer; it is not shown again. Raises EdgeAppError."""
        offer = self._inbox.find(offer_id)
        self._inbox.settle(offer, "declined")
        self._publish("offer_declined", offer.to_dict())
        return offer.to_dict()

    def _topics_of(self, label: str) -> set[str]:
        """Return the topics of the offers of a class, made under any of its names."""
        offered = self._control.references.items(OFFER)
        return {topic for topic, name in offered.items() if name == label}

    def _import_signed(self, topic: str, offer: Offer) -> None:
        try:
            self.accept(offer.id)
        except EdgeAppError:
            self._inbox.withdrawn(topic)  # nobody is asked: it is tried again when it comes again
            raise

    def _check_on(self) -> None:
        if self._mode == "off":
            raise InputError('offers are off: set mqtt.offers to "by-hand" or "signed"')
