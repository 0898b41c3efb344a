"""The device's events on their way to clients: numbered, kept for those that reconnect, and never waited for."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from edge_app.control import Control, Decided, Event
from edge_app.errors import EdgeAppError
from edge_app.web import translate
from edge_app.web.threads import in_thread

DECISION_S = 0.1
"""Time between two decisions that are sent."""
HEARTBEAT_S = 10.0
"""Something is sent when nothing else was for so long, so that a client can tell a lost connection."""
WAITING = 64
"""Events that may wait for a slow client; beyond that the oldest are dropped, and it is told so."""
REPLAYED = 256
"""Events kept for clients that reconnect."""


class EventMessage(NamedTuple):
    """An event, encoded once for all clients."""

    name: str
    data: bytes
    """JSON."""
    number: int | None = None

    def as_sse(self) -> bytes:
        """Return it as a server-sent event."""
        head = b"" if self.number is None else b"id: %d\n" % self.number
        return head + b"event: " + self.name.encode() + b"\ndata: " + self.data + b"\n\n"

    def as_json(self) -> str:
        """Return it as a WebSocket message."""
        number = "" if self.number is None else f'"id":{self.number},'
        return f'{{{number}"event":"{self.name}","data":{self.data.decode()}}}'


MISSED = EventMessage("missed", b"{}")


class EventReader:
    """Events waiting to be sent to one client: the newest decision, and a bounded queue of all others."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self._waiting: deque[EventMessage] = deque()
        self._decision: EventMessage | None = None
        self._missed = False

    def put(self, message: EventMessage) -> None:
        """Add an event."""
        # the oldest goes, not the newest: after a loss a client reads the state anew anyway
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._missed = True
        self._waiting.append(message)
        self.came.set()

    def show(self, decision: EventMessage) -> None:
        """Replace the decision that waits by a newer one."""
        self._decision = decision
        self.came.set()

    def take(self) -> list[EventMessage]:
        """Return everything that waits, and forget it."""
        self.came.clear()
        parts = [MISSED] if self._missed else []
        parts += self._waiting
        if self._decision is not None:
            parts.append(self._decision)
        self._waiting.clear()
        self._decision, self._missed = None, False
        return parts


class EventFeed:
    """Receives the events of a device and passes them to readers; used in the server's event loop only."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._readers: set[EventReader] = set()
        self._log: deque[EventMessage] = deque(maxlen=REPLAYED)
        self._number = int(time.time()) << 16  # higher after a restart, so that a client notices a gap
        self._decision: Decided | None = None
        self._newest_entry = 0
        self._revision = control.history_revision
        # after the fields above: from here on the device's threads call _heard
        self._stop = control.listen(self._heard)
        self._task = asyncio.create_task(self._send_decisions())

    async def close(self) -> None:
        """Receive no more events."""
        self._stop()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def read(self, last: int | None = None) -> AsyncIterator[list[EventMessage]]:
        """Yield events as they come, an empty list after a silence of HEARTBEAT_S.

        `last` is the number of the last event that the client has: the first list holds those that it missed.
        """
        reader = EventReader()
        self._readers.add(reader)
        try:
            yield self._since(last)
            if self._decision is not None:
                # at once, so that a new client need not wait for the next change
                reader.show(_message("decision", translate.decision(self._decision)))
            while True:
                # an empty list after the timeout is the heartbeat
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.came.wait(), HEARTBEAT_S)
                yield reader.take()
        finally:
            self._readers.discard(reader)

    def _since(self, last: int | None) -> list[EventMessage]:
        if last is None or last == self._number:
            return []
        # a number that is not in the log: older than it, or from before a restart
        first = self._log[0].number if self._log else None
        if first is None or first > last + 1:
            return [MISSED]
        return [message for message in self._log if message.number is not None and message.number > last]

    def _heard(self, event: Event) -> None:
        """Receive an event of the device; called from its threads."""
        if isinstance(event, Decided):
            # only the newest is kept, without the loop: tens a second would wake it for nothing
            self._decision = event
        else:
            with contextlib.suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._publish, *translate.event(event))

    def _publish(self, name: str, value: Any) -> None:
        self._number += 1
        message = _message(name, value, self._number)
        self._log.append(message)
        for reader in self._readers:
            reader.put(message)

    async def _send_decisions(self) -> None:
        sent: Decided | None = None
        while True:
            await asyncio.sleep(DECISION_S)
            # nothing is encoded while nobody reads
            if not self._readers:
                continue
            decision = self._decision
            try:
                if decision is not None and decision is not sent:
                    sent = decision
                    await self._send_decision(decision)
                await self._tell_of_history()
            except Exception:  # a mistake in the program: without this, all readers would wait for good
                logging.getLogger(__name__).exception("events could not be sent")

    async def _send_decision(self, decision: Decided) -> None:
        await in_thread(lambda: self._control.keep(decision.sequence))  # a client that sees it may teach it
        message = _message("decision", translate.decision(decision))
        for reader in self._readers:
            reader.show(message)

    async def _tell_of_history(self) -> None:
        # the history reports no events of its own: its revision is compared ten times a second
        revision = self._control.history_revision
        if revision == self._revision:
            return
        self._revision = revision
        self._publish("history", {})
        try:
            entries = await in_thread(self._control.history.tray)
        except EdgeAppError:  # busy, or damaged: a client that asks for the tray is told
            return
        if entries and entries[0].id > self._newest_entry:
            self._newest_entry = entries[0].id
            self._publish("tray", translate.moment(entries[0]))


def _message(name: str, value: Any, number: int | None = None) -> EventMessage:
    return EventMessage(name, msgspec.json.encode(value), number)
