"""The names of topics: what a device tells, listens to, and offers.

BASE/DEVICE/status          "online" or "offline"; retained, and the last will
BASE/DEVICE/decision        what is seen; retained
BASE/DEVICE/health          how the device is; retained
BASE/DEVICE/classes         classes and their numbers of examples; retained
BASE/DEVICE/choice          the class that `teach` without a label means; retained
BASE/DEVICE/picture         JPEG; retained, where pictures are wanted
BASE/DEVICE/event           what happened, one message each
BASE/DEVICE/command/NAME    to the device
BASE/DEVICE/response        what became of a command
BASE/DEVICE/error           why a command was not carried out
BASE/offers/DEVICE/CLASS    a class with its examples, offered to the other devices; retained
"""

import hashlib
from typing import NamedTuple

OFFERS = "offers"


class Topics(NamedTuple):
    """The topics of one device."""

    base: str
    device: str

    def own(self, name: str) -> str:
        """Return a topic of this device."""
        return f"{self.base}/{self.device}/{name}"

    @property
    def commands(self) -> str:
        """What to subscribe to for commands."""
        return self.own("command/+")

    def command(self, topic: str) -> str | None:
        """Return the name of the command that a topic is for, None when it is for none of this device."""
        before, _, name = topic.rpartition("/")
        return name if before == self.own("command") else None

    @property
    def offers(self) -> str:
        """What to subscribe to for offers."""
        return f"{self.base}/{OFFERS}/+/+"

    def offer(self, label: str) -> str:
        """Return where this device offers a class."""
        return f"{self.base}/{OFFERS}/{self.device}/{hashlib.sha256(label.encode()).hexdigest()[:16]}"

    def offering(self, topic: str) -> str | None:
        """Return the device whose offer a topic is, None when it is none."""
        parts = topic.removeprefix(f"{self.base}/{OFFERS}/").split("/")
        return parts[0] if len(parts) == 2 and topic.startswith(f"{self.base}/{OFFERS}/") else None

    def allows_response(self, topic: str) -> bool:
        """Return whether a command may ask for its response there: below BASE, so that no one publishes through us."""
        return topic.startswith(f"{self.base}/") and len(topic) <= 256 and not set(topic) & set("+#\0")
