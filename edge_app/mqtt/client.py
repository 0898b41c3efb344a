"""The thread that speaks to the broker: connects, delivers the outbox, listens, and comes back when it was lost."""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from typing import Protocol

from edge_app.closing import Closing
from edge_app.messages import Report
from edge_app.mqtt.backoff import BackOff
from edge_app.mqtt.connection import Broker, BrokerLost, Connection, Incoming
from edge_app.mqtt.outbox import Outbox, Outgoing

LOOK_S = 1.0
"""How often `ClientListener.look` is called at least, while the broker is there."""
DRAIN_S = 1.0
"""What the broker has at the end to take what still waits."""
JOIN_S = 1.5


class ClientListener(Protocol):
    """Who is told what comes from the broker; none of it may wait."""

    def came(self, message: Incoming) -> None:
        """Take in a message; to be acknowledged by `MqttClient.acknowledge` when it has been dealt with."""

    def look(self) -> None:
        """See whether there is something to tell."""


class MqttClient(Closing):
    """One connection after the other. Apart from `start` and `close`, every method may be called from any thread."""

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
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.outbox = Outbox(bound, self.wake)
        self._wanted: tuple[str, ...] = ()
        self._dealt_with: deque[Incoming] = deque()
        self._stopping = threading.Event()
        self._reason: str | None = None
        self.connected = threading.Event()
        """Set while the broker listens to us: with the first message that it acknowledges."""
        self._where = f"{broker.host}:{broker.port}"
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._connection()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def want(self, topics: Sequence[str]) -> None:
        """Listen to these topics too, from now on and after each new connection."""
        self._wanted = (*self._wanted, *topics)
        self.wake()

    def acknowledge(self, message: Incoming) -> None:
        """A message has been dealt with."""
        self._dealt_with.append(message)
        self.wake()

    def wake(self) -> None:
        """There is something to do."""
        try:
            self._writer.send(b"\0")
        except OSError:  # it is full of them already, or all is over
            return

    def close(self) -> None:
        """Deliver what waits, say good-bye and end, within `JOIN_S` whatever the broker does."""
        self._stopping.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)
        if self._thread.is_alive():  # in the middle of a greeting; nothing is lost that could still be delivered
            self._report(logging.WARNING, "broker_left_waiting", messages=self.outbox.waiting)
            return
        self._reader.close()
        self._writer.close()

    def _connection(self) -> Connection:
        return Connection(self._broker, self._will, self._listener.came, self._published)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s, too_large = time.monotonic(), False
            try:
                self._serve()
                return
            except BrokerLost as error:
                reason, too_large = str(error), error.too_large
            except Exception as error:  # a mistake of ours must not leave the device without a voice
                logging.getLogger(__name__).exception("the connection to the broker failed")
                reason = f"{type(error).__name__}: {error}"
            served = self.connected.is_set()
            if served or reason != self._reason:
                self._report(logging.WARNING, "broker_lost", reason=reason, waiting=self.outbox.waiting)
            self._reason = reason
            self.connected.clear()
            if too_large and (message := self.outbox.give_up_largest()) is not None:
                self._tell_refused(message, "the broker ended the connection because of its size")
            self._stopping.wait(self._backoff.wait_s(time.monotonic() - began_s if served else 0.0))

    def _serve(self) -> None:
        """Keep one connection until the end of the program. Raises BrokerLost."""
        self._dealt_with.clear()
        let_in, listening = False, 0
        with closing(self._connection()) as connection:
            connection.open()
            while not self._stopping.is_set():
                connection.step(self._reader, LOOK_S)
                self._forget_wakes()
                if not connection.ready:
                    continue
                if not let_in:
                    let_in = True
                    self._report(logging.INFO, "broker_connected", broker=self._where, waiting=self.outbox.waiting)
                    self.outbox.reconnected()
                wanted = self._wanted
                connection.subscribe(wanted[listening:])
                listening = len(wanted)
                self._listener.look()
                self._exchange(connection)
            end_s = time.monotonic() + DRAIN_S
            while connection.ready and self.outbox.waiting and time.monotonic() < end_s:
                self._exchange(connection)
                connection.step(self._reader, 0.05)

    def _exchange(self, connection: Connection) -> None:
        while self._dealt_with:
            connection.acknowledge(self._dealt_with.popleft())
        while connection.room and (message := self.outbox.take()) is not None:
            connection.publish(message)

    def _forget_wakes(self) -> None:
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            return

    def _published(self, message: Outgoing, refusal: str | None) -> None:
        self.outbox.done(message.number)
        self.connected.set()
        if refusal is not None:
            self._tell_refused(message, refusal)

    def _tell_refused(self, message: Outgoing, reason: str) -> None:
        self._report(logging.WARNING, "message_refused", topic=message.topic, bytes=len(message.payload), reason=reason)
