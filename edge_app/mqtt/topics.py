"""The names of topics.

BASE/DEVICE/status          "online" or "offline"; retained, also the last will
BASE/DEVICE/decision        the newest decision; retained
BASE/DEVICE/health          the device's condition; retained
BASE/DEVICE/classes         the report on each class; retained
BASE/DEVICE/today           visits and time per class since midnight; retained, with a history
BASE/DEVICE/choice          the class that `teach` without a label means; retained
BASE/DEVICE/picture         JPEG; retained, if configured
BASE/DEVICE/event           one message per event
BASE/DEVICE/command/NAME    commands to the device
BASE/DEVICE/response        the outcome of a command
BASE/DEVICE/error           why a command was not carried out
BASE/offers/DEVICE/CLASS    a class with its examples, offered to the other devices; retained
"""

import hashlib
from typing import NamedTuple

OFFERS = "offers"
STATES = ("status", "decision", "health", "classes", "today", "choice", "picture")
"""Retained topics below BASE/DEVICE."""
RESERVED = frozenset({*STATES, "event", "error", "command", OFFERS})
"""Levels of topics that a device publishes to by itself, or receives from."""
MAX_RESPONSE_TOPIC = 256


class Topics(NamedTuple):
    """The topics of one device."""

    base: str
    device: str

    def own(self, name: str) -> str:
        """Return a topic of this device."""
        return f"{self.base}/{self.device}/{name}"

    @property
    def states(self) -> tuple[str, ...]:
        """The retained topics of this device, without its offers."""
        return tuple(self.own(name) for name in STATES)

    @property
    def commands(self) -> str:
        """The subscription for commands."""
        return self.own("command/+")

    def command(self, topic: str) -> str | None:
        """Return the name of the command that a topic is for, None if it is not a command to this device."""
        before, _, name = topic.rpartition("/")
        return name if before == self.own("command") else None

    @property
    def offers(self) -> str:
        """The subscription for offers."""
        return f"{self.base}/{OFFERS}/+/+"

    def offer(self, label: str) -> str:
        """Return the topic on which this device offers a class."""
        # a hash: a class name may hold "/", "+" and "#", which topics may not
        return f"{self.base}/{OFFERS}/{self.device}/{hashlib.sha256(label.encode()).hexdigest()[:16]}"

    def offering(self, topic: str) -> str | None:
        """Return the device that an offer's topic belongs to, None if the topic is not an offer's."""
        parts = topic.removeprefix(f"{self.base}/{OFFERS}/").split("/")
        return parts[0] if len(parts) == 2 and topic.startswith(f"{self.base}/{OFFERS}/") else None

    def allows_response(self, topic: str) -> bool:
        """Return whether a command may ask for its response on a topic.

        Only below BASE/DEVICE, and on no level that a device uses itself: otherwise a client that may only send
        commands could make this device publish a decision or event, of its own or of a device whose base lies below.
        """
        own = self.own("")
        levels = topic.removeprefix(own).split("/")
        return (
            topic.startswith(own)
            and len(topic) <= MAX_RESPONSE_TOPIC
            and all(levels)
            and RESERVED.isdisjoint(levels)
            and not set(topic) & set("+#\0")
        )
