"""One connection to a broker, from its opening to its end; the only file that touches the MQTT library.

A lost connection is not mended: another one is made. So nothing of the library's own memory outlives a connection, and
what still has to be delivered is in the outbox alone.
"""

import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_app.errors import EdgeAppError, InputError, RuntimeMissing
from edge_app.mqtt.outbox import Outgoing

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

CONNECT_S = 5.0
"""What a broker has for each of: the TCP connection, the TLS handshake, its answer to our greeting."""
KEEPALIVE_S = 30
REFUSED = 0x80
"""Reason codes from here on are failures (MQTT 5, 2.4)."""
WRONG_VERSION = 0x84
TOO_LARGE = 0x95
UNDER_WAY = 8
"""Messages to us that may be in work; the broker sends no more of QoS 1 until `acknowledge`."""


class BrokerLost(EdgeAppError, ConnectionError):
    """The broker cannot be reached, does not let us in, or has gone."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large
        """It went because of the size of a message."""


class Broker(NamedTuple):
    """Where the broker is, and how to sign in."""

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    largest: int = 1 << 20
    """Bytes of the largest packet that it may send us."""


class Incoming(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None
    mid: int = 0
    qos: int = 0


def needs_extra() -> None:
    """Raise RuntimeMissing unless the MQTT library is installed, in a version that fits."""
    try:
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as error:
        raise RuntimeMissing("[mqtt] needs paho-mqtt, 2.1 or newer: pip install 'edge-app[mqtt]'") from error
    del CallbackAPIVersion


def tls_context(ca_file: str | None, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    """Return what checks the broker's certificate and host name, and shows ours. Raises InputError for a bad file."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"mqtt.ca_file = {ca_file!r} holds no certificates in PEM form: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            context.load_cert_chain(*certificate, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise InputError(
                f"mqtt.certificate_file = {certificate[0]!r} and key_file = {certificate[1]!r} are no certificate and "
                f"its key, without a password, in PEM form: {error}"
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key needs a password")


class Connection:
    """Speaks to the broker; every method is called from one thread, and so are the callbacks."""

    def __init__(
        self,
        broker: Broker,
        will: tuple[str, bytes],
        received: Callable[[Incoming], None],
        acknowledged: Callable[[Outgoing, str | None], None],
    ) -> None:
        """`will` is a topic and its content, retained, that the broker publishes when we vanish.

        `acknowledged` is told of a message that the broker has, or of why it refused it. Raises RuntimeMissing.
        """
        needs_extra()
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self._broker = broker
        self._received = received
        self._acknowledged = acknowledged
        self._on_way: dict[int, Outgoing] = {}
        self._deadline = 0.0
        self._over: BrokerLost | None = None
        self._may_send = 0xFFFFFFF
        self._at_a_time = 0xFFFF
        self.ready = False
        """Whether the broker has let us in."""
        client = Client(CallbackAPIVersion.VERSION2, broker.client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # the outbox has its own bound
        client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.manual_ack_set(True)
        client.will_set(will[0], will[1], qos=1, retain=True)
        client.on_connect = self._greeted
        client.on_disconnect = self._ended
        client.on_message = self._came
        client.on_publish = self._published
        self._client = client

    def open(self) -> None:
        """Connect and greet; takes up to 2 x `CONNECT_S`. Raises BrokerLost."""
        broker = self._broker
        greeting = _properties("CONNECT", MaximumPacketSize=broker.largest, ReceiveMaximum=UNDER_WAY)
        try:
            self._client.connect(broker.host, broker.port, KEEPALIVE_S, clean_start=True, properties=greeting)
        except (OSError, ValueError) as error:  # ssl's errors are OSErrors; ValueError: a name that is none
            raise BrokerLost(_why(error, broker)) from error
        self._deadline = time.monotonic() + CONNECT_S

    def step(self, wake: socket.socket, timeout_s: float) -> None:
        """Read and write, waiting up to `timeout_s` for something to read, or for `wake`. Raises BrokerLost."""
        client = self._client
        line = client.socket()
        if line is not None:
            if not self.ready:
                timeout_s = min(timeout_s, max(0.0, self._deadline - time.monotonic()))
            if isinstance(line, ssl.SSLSocket) and line.pending():
                timeout_s = 0.0
            poll = select.poll()
            poll.register(line.fileno(), select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            poll.register(wake.fileno(), select.POLLIN)
            poll.poll(timeout_s * 1000)
            for work in (client.loop_read, client.loop_write, client.loop_misc):
                try:
                    work()
                except Exception as error:  # the library stumbles over packets that are none in many ways
                    raise BrokerLost(f"{self._where} sends what is no MQTT: {type(error).__name__}: {error}") from error
        if self._over is not None:
            raise self._over
        if client.socket() is None:
            raise BrokerLost(f"{self._where} closed the connection")
        if not self.ready and time.monotonic() >= self._deadline:
            raise BrokerLost(f"{self._where} did not answer within {CONNECT_S:g} s: is that an MQTT 5 broker?")

    def subscribe(self, topics: Iterable[str]) -> None:
        """Ask for the messages of topics, but for those that we publish from now on."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        for topic in topics:  # one by one: the refusal of one must not cost the others
            self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))

    def acknowledge(self, message: Incoming) -> None:
        """Say that a message has been dealt with."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    @property
    def room(self) -> bool:
        """Whether the broker takes another message before it has acknowledged those on their way."""
        return len(self._on_way) < self._at_a_time

    def publish(self, message: Outgoing) -> None:
        """Send a message; `acknowledged` says what becomes of it."""
        if len(message.payload) + len(message.topic) + 64 > self._may_send:
            self._acknowledged(message, f"larger than the {self._may_send} bytes that the broker takes")
            return
        properties = _properties("PUBLISH", CorrelationData=message.answers) if message.answers is not None else None
        info = self._client.publish(message.topic, message.payload, 1, message.retained, properties)
        self._on_way[info.mid] = message

    def close(self) -> None:
        """Say good-bye, so that the broker does not publish the will; harmless when it has gone."""
        self._over = self._over or BrokerLost("closed")
        if self.ready:
            self._client.disconnect()
        line = self._client.socket()
        if line is not None:  # the library closes it itself once the good-bye is on its way
            line.close()

    @property
    def _where(self) -> str:
        return f"the broker {self._broker.host}:{self._broker.port}"

    # What the library calls: a name of its own for each argument, most of them of no use here.

    def _greeted(
        self, client: Any, _data: Any, _flags: Any, code: "ReasonCode", properties: "Properties | None"
    ) -> None:
        if code.value >= REFUSED:
            hint = " (it must speak MQTT 5)" if code.value == WRONG_VERSION else ""
            self._over = BrokerLost(f"{self._where} does not let us in: {code}{hint}")
            return
        self._may_send = getattr(properties, "MaximumPacketSize", self._may_send)
        self._at_a_time = getattr(properties, "ReceiveMaximum", self._at_a_time)
        self.ready = True

    def _ended(self, client: Any, _data: Any, _flags: Any, code: "ReasonCode", _properties: Any) -> None:
        if self._over is None:
            how = "was lost" if code.value == REFUSED else f"ended: {code}"
            self._over = BrokerLost(f"the connection to {self._where} {how}", too_large=code.value == TOO_LARGE)

    def _came(self, client: Any, _data: Any, message: "MQTTMessage") -> None:
        properties = message.properties
        incoming = Incoming(
            message.topic,
            bytes(message.payload),
            message.retain,
            getattr(properties, "ResponseTopic", None),
            getattr(properties, "CorrelationData", None),
            message.mid,
            message.qos,
        )
        try:
            self._received(incoming)
        except Exception:  # a mistake of ours, not of the broker's
            logging.getLogger(__name__).exception("a message could not be taken in")
            self.acknowledge(incoming)

    def _published(self, client: Any, _data: Any, mid: int, code: "ReasonCode", _properties: Any) -> None:
        message = self._on_way.pop(mid, None)
        if message is not None:
            self._acknowledged(message, str(code) if code.value >= REFUSED else None)


def _properties(packet: str, **values: Any) -> "Properties":
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    found = Properties(getattr(PacketTypes, packet))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(found, name, value)
    return found


def _why(error: Exception, broker: Broker) -> str:
    where = f"the broker {broker.host}:{broker.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{where} shows a certificate that is not trusted ({error.verify_message}): "
            "is mqtt.ca_file that of its authority, and mqtt.host the name in it?"
        )
    if isinstance(error, ssl.SSLError):
        return f"{where} does not agree on TLS: {error}"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {CONNECT_S:g} s"
    return f"{where} cannot be reached: {getattr(error, 'strerror', None) or error}"
