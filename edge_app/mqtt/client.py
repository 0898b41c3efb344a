"""The thread of the connection: connects, delivers the outbox, receives, and reconnects after a loss."""

import logging
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from typing import Protocol

from edge_app.closing import Closing
from edge_app.messages import Report
from edge_app.mqtt.connection import Broker, BrokerLost, Connection, Incoming
from edge_app.mqtt.outbox import Outbox, Outgoing

SHORTEST_S, LONGEST_S = 1.0, 60.0
"""Waits before an attempt to connect."""
GOOD_AFTER_S = 10.0
"""A connection that lasted this long was good: the next wait is the shortest again."""
POLL_S = 1.0
"""The longest time between two calls of `ClientListener.poll` while connected."""
DRAIN_S = 1.0
"""Time for the broker to take the remaining messages at the end."""
# longer than DRAIN_S; with that of the worker within the 2 s that Bridge.close may take
JOIN_S = 1.5


class BackOff:
    """1, 2, 4, ... 60 s, each shortened at random by up to a half, so that devices do not all come back at once."""

    def __init__(self, source: random.Random, *, shortest_s: float = SHORTEST_S, longest_s: float = LONGEST_S) -> None:
        self._source = source
        self._shortest_s, self._longest_s = shortest_s, longest_s
        self._next_s = shortest_s

    def wait_s(self, lasted_s: float) -> float:
        """Return the time to wait after a connection that lasted so long; 0: after a failed attempt."""
        if lasted_s >= GOOD_AFTER_S:
            self._next_s = self._shortest_s
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._longest_s)
        # shortened, not lengthened: the longest wait stays what it says
        return wait_s * self._source.uniform(0.5, 1.0)


class ClientListener(Protocol):
    """Receives from the broker, in the client's thread; must not wait."""

    def received(self, message: Incoming) -> None:
        """Process a message; `MqttClient.acknowledge` follows once it has been dealt with."""

    def delivered(self, message: Outgoing) -> None:
        """Note that the broker has a message."""

    def poll(self) -> None:
        """Publish what is due; called at least every POLL_S while connected."""


class MqttClient(Closing):
    """One connection after another. Apart from `start` and `close`, every method may be called from any thread."""

    def __init__(
        self,
        broker: Broker,
        bound: int,
        will: tuple[str, bytes],
        listener: ClientListener,
        report: Report,
        backoff: BackOff,
    ) -> None:
        """`will` as in Connection; `bound` events are kept while the broker is away. Raises RuntimeMissing."""
        self._broker = broker
        self._will = will
        self._listener = listener
        self._report = report
        self._backoff = backoff
        # a socket, because the thread waits in poll() for the broker's and can wait for this one too
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.outbox = Outbox(bound, self.wake)
        self._topics: tuple[str, ...] = ()
        self._dealt_with: deque[Incoming] = deque()
        self._stopping = threading.Event()
        self._reason: str | None = None
        self.connected = threading.Event()
        """Set once the broker has acknowledged a message; cleared when the connection is lost."""
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        # made and thrown away, for its error: a missing library is reported before anything starts
        self._connection()

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to these topics too, now and after each new connection."""
        self._topics = (*self._topics, *topics)
        self.wake()

    def acknowledge(self, message: Incoming) -> None:
        """Acknowledge a message that has been dealt with."""
        self._dealt_with.append(message)
        self.wake()

    def wake(self) -> None:
        """Wake the thread: there is something to do."""
        try:
            self._writer.send(b"\0")
        except OSError:  # the socket is full of wake-ups already, or closed
            return

    def close(self) -> None:
        """Deliver what waits, disconnect and end, within `JOIN_S` whatever the broker does."""
        self._stopping.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)
        if self._thread.ident is None:
            self._close_wakes()
        elif self._thread.is_alive() or self.outbox.waiting:  # the broker is away, or slow
            self._report(logging.WARNING, "broker_left_waiting", messages=self.outbox.waiting)

    def _connection(self) -> Connection:
        return Connection(self._broker, self._will, self._listener.received, self._published)

    def _close_wakes(self) -> None:
        self._reader.close()
        self._writer.close()

    def _run(self) -> None:
        try:
            self._keep_connected()
        finally:
            # here, as `close` does not wait for it for long, and it may still be in use
            self._close_wakes()

    def _keep_connected(self) -> None:
        while not self._stopping.is_set():
            began_s, too_large = time.monotonic(), False
            try:
                self._serve()
                return
            except BrokerLost as error:
                reason, too_large = str(error), error.too_large
            except Exception as error:  # a mistake in the program must not silence the device
                logging.getLogger(__name__).exception("the connection to the broker failed")
                reason = f"{type(error).__name__}: {error}"
            served = self.connected.is_set()
            # a broker that stays away is logged once, not every minute
            if served or reason != self._reason:
                self._report(logging.WARNING, "broker_lost", reason=reason, waiting=self.outbox.waiting)
            self._reason = reason
            self.connected.clear()
            # it would be sent again, and end every further connection
            if too_large and (message := self.outbox.give_up_largest()) is not None:
                self._report_refused(message, "the broker closed the connection because of its size")
            # only a connection that served resets the waits: a broker may accept and close at once
            self._stopping.wait(self._backoff.wait_s(time.monotonic() - began_s if served else 0.0))

    def _serve(self) -> None:
        """Keep one connection until the end of the program. Raises BrokerLost."""
        # message ids belong to the lost connection
        self._dealt_with.clear()
        ready, subscribed = False, 0
        with closing(self._connection()) as connection:
            connection.open()
            while not self._stopping.is_set():
                connection.step(self._reader, POLL_S)
                self._clear_wakes()
                if not connection.ready:
                    continue
                if not ready:
                    ready = True
                    self._report(
                        logging.INFO, "broker_connected", broker=self._broker.address, waiting=self.outbox.waiting
                    )
                    self.outbox.reconnected()
                topics = self._topics
                connection.subscribe(topics[subscribed:])
                subscribed = len(topics)
                self._listener.poll()
                self._exchange(connection)
            # the last messages, "offline" among them
            end_s = time.monotonic() + DRAIN_S
            while connection.ready and self.outbox.waiting and time.monotonic() < end_s:
                self._exchange(connection)
                connection.step(self._reader, 0.05)

    def _exchange(self, connection: Connection) -> None:
        while self._dealt_with:
            connection.acknowledge(self._dealt_with.popleft())
        while connection.room and (message := self.outbox.take()) is not None:
            connection.publish(message)

    def _clear_wakes(self) -> None:
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            return

    def _published(self, message: Outgoing, refusal: str | None) -> None:
        self.outbox.done(message.number)
        self.connected.set()
        if refusal is not None:
            self._report_refused(message, refusal)
        else:
            self._listener.delivered(message)

    def _report_refused(self, message: Outgoing, reason: str) -> None:
        self._report(logging.WARNING, "message_refused", topic=message.topic, bytes=len(message.payload), reason=reason)
