"""Classes between devices: what this one offers, and what it takes over from others."""

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
from edge_app.mqtt.topics import Topics
from edge_app.storage.errors import os_errors

MOST_OFFERED = 16
"""Classes that a device offers at a time; they are kept in memory, to be told again after a broker's restart."""

Tell = Callable[[str, dict[str, Any]], None]
"""Publishes an event of a type."""


class Fleet:
    """Offers of classes. Its methods wait for the disk: not for the thread that speaks to the broker."""

    def __init__(
        self,
        control: Control,
        outbox: Outbox,
        topics: Topics,
        folder: Path,
        tell: Tell,
        *,
        mode: str,
        key: bytes | None,
        largest: int,
    ) -> None:
        """`mode` is off, by-hand or signed; `largest` bytes an offer may have; `folder` keeps what was settled."""
        self._control = control
        self._outbox = outbox
        self._topics = topics
        self._tell = tell
        self._mode = mode
        self._key = key
        self._largest = largest
        self._inbox = Inbox(folder, 4 * largest)
        self._offered: set[str] = set()

    def offer(self, label: str) -> dict[str, Any]:
        """Offer a class to the other devices, in place of what was offered of it before. Raises EdgeAppError."""
        self._check_on()
        if label not in self._offered and len(self._offered) >= MOST_OFFERED:
            raise InputError(f"{MOST_OFFERED} classes are offered already: withdraw one")
        stream = io.BytesIO()
        count = self._control.export([label], stream)
        message = pack(self._topics.device, label, count, time.time_ns() // 1_000_000, stream.getvalue(), self._key)
        if len(message) > self._largest:
            raise InputError(
                f"class {label!r} with {count} examples has {len(message)} bytes, an offer at most {self._largest}: "
                "raise mqtt.offer_mb on all devices, or carry it by `edge-app export` and import"
            )
        self._outbox.state(self._topics.offer(label), message)
        self._offered.add(label)
        return {"label": label, "examples": count, "bytes": len(message), "signed": self._key is not None}

    def withdraw(self, label: str) -> dict[str, Any]:
        """Take an offer of this device back, one of an earlier run too. What others took over stays theirs."""
        self._outbox.state(self._topics.offer(label), b"")
        self._offered.discard(label)
        return {"label": label}

    def received(self, topic: str, payload: bytes) -> None:
        """Take in a message from an offers' topic: by hand, it waits; signed, it is imported. Tells what came of it."""
        device = self._topics.offering(topic)
        if device is None or device == self._topics.device or self._mode == "off":
            return
        if not payload:
            self._inbox.withdrawn(topic)
            return
        try:
            if len(payload) > self._largest:
                raise InputError(f"the offer has {len(payload)} bytes, expected at most {self._largest}")
            offer = unpack(payload, self._key, only_signed=self._mode == "signed")
            if offer.device != device:
                raise InputError(f"the offer is of the device {offer.device!r}, and came from {device!r}")
            if not self._inbox.put(topic, offer):
                return
            if self._mode == "signed":
                self._take_over(topic, offer)
            else:
                self._tell("offer_received", described(offer))
        except EdgeAppError as error:
            self._tell("offer_refused", {"device": device, "reason": str(error)})

    def listed(self) -> list[dict[str, Any]]:
        """Return the offers that wait."""
        return [described(offer) for offer in self._inbox.waiting()]

    def accept(self, offer_id: str) -> dict[str, Any]:
        """Learn the examples of an offer, all or none. Raises EdgeAppError; the offer waits on then."""
        self._check_on()
        offer = self._inbox.find(offer_id)
        place = Path(tempfile.gettempdir())
        with ExitStack() as stack:
            with os_errors(place, "keep the offer while it is read"):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-app-"))
                path = Path(folder) / "offer.zip"
                path.write_bytes(offer.content)
            done = self._control.import_(path, source=f"mqtt offer of {offer.device}")
        self._inbox.settle(offer, "accepted")
        result = described(offer) | {"added": done.added, "skipped": done.skipped}
        self._tell("offer_accepted", result)
        return result

    def decline(self, offer_id: str) -> dict[str, Any]:
        """Let an offer go; it is not shown again. Raises EdgeAppError."""
        offer = self._inbox.find(offer_id)
        self._inbox.settle(offer, "declined")
        self._tell("offer_declined", described(offer))
        return described(offer)

    def _take_over(self, topic: str, offer: Offer) -> None:
        try:
            self.accept(offer.id)
        except EdgeAppError:
            self._inbox.withdrawn(topic)  # nobody is asked: it is tried again when it comes again
            raise

    def _check_on(self) -> None:
        if self._mode == "off":
            raise InputError('offers are off: set mqtt.offers to "by-hand" or "signed"')


def described(offer: Offer) -> dict[str, Any]:
    """Return an offer for people."""
    return {
        "offer": offer.id,
        "device": offer.device,
        "label": offer.label,
        "examples": offer.examples,
        "bytes": len(offer.content),
        "signed": offer.signed,
        "offered_ms": offer.time_ms,
    }
