"""One connection to a broker, from opening to end; the only module that uses the MQTT library.

A lost connection is not resumed: a new one is made. So no state of the library outlives a connection, and messages
still to be delivered are in the outbox alone.
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
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

CONNECT_S = 5.0
"""Time limit for each of: the TCP connection, the TLS handshake, the answer to CONNECT."""
KEEPALIVE_S = 30
REFUSED = 0x80
"""Reason codes from this one on are failures (MQTT 5, section 2.4)."""
WRONG_VERSION = 0x84
TOO_LARGE = 0x95
MAX_RECEIVED = 8
"""Messages of QoS 1 that the broker may send before `acknowledge`."""


class BrokerLost(EdgeAppError, ConnectionError):
    """The broker cannot be reached, rejects the device, or closed the connection."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large
        """Whether the broker closed the connection because of the size of a message."""


class Broker(NamedTuple):
    """Address and credentials of a broker."""

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    max_packet: int = 1 << 20
    """Bytes of the largest packet that it may send."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"


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
    """Raise RuntimeMissing unless a supported version of the MQTT library is installed."""
    try:
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as error:
        raise RuntimeMissing("[mqtt] needs paho-mqtt, 2.1 or newer: pip install 'edge-app[mqtt]'") from error
    del CallbackAPIVersion


def tls_context(ca_file: str | None, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    """Return a context that checks the broker's certificate and host name, and presents ours. Raises InputError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"mqtt.ca_file = {ca_file!r} holds no PEM certificates: {error}") from error
    # the system's own policy may allow older ones
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            # without a callback OpenSSL would ask on the terminal, and the service would hang
            context.load_cert_chain(*certificate, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise InputError(
                f"mqtt.certificate_file = {certificate[0]!r} and key_file = {certificate[1]!r} are not a certificate "
                f"and its key in PEM form, without a password: {error}"
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key needs a password")


class PacketTooLarge(Exception):
    """The broker sends a packet that is larger than the maximum packet size it was given."""


def _bounded_client(max_packet: int) -> "type[Client]":
    from paho.mqtt.client import Client

    class BoundedClient(Client):
        """Refuses a packet by its length, before its content is read into memory: the library has no such limit."""

        def _sock_recv(self, bufsize: int) -> bytes:
            if bufsize > max_packet:  # the library asks for the whole rest of a packet at once
                raise PacketTooLarge(f"a packet of {bufsize} bytes, expected at most {max_packet}")
            return super()._sock_recv(bufsize)

    return BoundedClient


class Connection:
    """A connection, used by one thread, which also runs the callbacks."""

    def __init__(
        self,
        broker: Broker,
        will: tuple[str, bytes],
        received: Callable[[Incoming], None],
        acknowledged: Callable[[Outgoing, str | None], None],
    ) -> None:
        """`will` is a topic and its content, retained, which the broker publishes when the device vanishes.

        `acknowledged` is called with a message that the broker has, and with the reason if it refused it. Raises
        RuntimeMissing.
        """
        needs_extra()
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self._broker = broker
        self._received = received
        self._acknowledged = acknowledged
        self._in_flight: dict[int, Outgoing] = {}
        self._deadline = 0.0
        self._over: BrokerLost | None = None
        self._max_send = 0xFFFFFFF  # both: what a broker accepts that states no limit (MQTT 5, section 3.2.2.3)
        self._max_in_flight = 0xFFFF
        self.ready = False
        """Whether the broker has accepted the connection."""
        client = _bounded_client(broker.max_packet)(
            CallbackAPIVersion.VERSION2, broker.client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # the outbox has its own bound
        client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.manual_ack_set(True)  # once carried out: a crash does not lose a command
        client.will_set(will[0], will[1], qos=1, retain=True)  # also for clients that come later
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self._client = client

    def open(self) -> None:
        """Connect and send CONNECT; takes up to 2 x `CONNECT_S`. Raises BrokerLost."""
        broker = self._broker
        connect = _properties("CONNECT", MaximumPacketSize=broker.max_packet, ReceiveMaximum=MAX_RECEIVED)
        try:
            # clean_start: nothing waits at the broker that the outbox does not know
            self._client.connect(broker.host, broker.port, KEEPALIVE_S, clean_start=True, properties=connect)
        except (OSError, ValueError) as error:  # ssl's errors are OSErrors; ValueError: an invalid host name
            raise BrokerLost(_why(error, broker)) from error
        self._deadline = time.monotonic() + CONNECT_S

    def step(self, wake: socket.socket, timeout_s: float) -> None:
        """Read and write, waiting up to `timeout_s` for something to read, or for `wake`. Raises BrokerLost."""
        client = self._client
        line = client.socket()
        if line is not None:
            if not self.ready:
                timeout_s = min(timeout_s, max(0.0, self._deadline - time.monotonic()))
            # bytes that are decrypted already do not make the socket readable
            if isinstance(line, ssl.SSLSocket) and line.pending():
                timeout_s = 0.0
            # not select(): it fails for descriptors above 1023
            poll = select.poll()
            poll.register(line.fileno(), select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            poll.register(wake.fileno(), select.POLLIN)
            poll.poll(timeout_s * 1000)
            for work in (client.loop_read, client.loop_write, client.loop_misc):
                try:
                    work()
                except PacketTooLarge as error:
                    raise BrokerLost(f"{self._where} sent {error}") from error
                except Exception as error:  # the library raises many kinds of errors for malformed packets
                    raise BrokerLost(
                        f"{self._where} sent a malformed packet ({type(error).__name__}: {error}); is it MQTT?"
                    ) from error
        # callbacks must not raise into the library: they leave their error here
        if self._over is not None:
            raise self._over
        if client.socket() is None:
            raise BrokerLost(f"{self._where} closed the connection")
        if not self.ready and time.monotonic() >= self._deadline:
            raise BrokerLost(f"{self._where} did not answer within {CONNECT_S:g} s: is it an MQTT 5 broker?")

    def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe to topics; messages that this device publishes itself are not sent back."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        for topic in topics:  # one by one: a refused subscription must not affect the others
            self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))

    def acknowledge(self, message: Incoming) -> None:
        """Acknowledge a message that has been dealt with."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    @property
    def room(self) -> bool:
        """Whether the broker accepts another message before it has acknowledged those in flight."""
        return len(self._in_flight) < self._max_in_flight

    def publish(self, message: Outgoing) -> None:
        """Send a message; `acknowledged` is called with the outcome."""
        # 64: more than the fixed header and the properties take
        if len(message.payload) + len(message.topic) + 64 > self._max_send:
            self._acknowledged(message, f"larger than the {self._max_send} bytes that the broker accepts")
            return
        values = {} if message.correlation is None else {"CorrelationData": message.correlation}
        properties = _properties("PUBLISH", **values)
        # QoS 1: the outbox needs the acknowledgement; a repeated message does no harm
        info = self._client.publish(message.topic, message.payload, 1, message.retained, properties)
        self._in_flight[info.mid] = message

    def close(self) -> None:
        """Disconnect properly, so that the broker does not publish the will; harmless if the connection is gone."""
        # before disconnecting, whose callback would report a loss
        self._over = self._over or BrokerLost("closed")
        if self.ready:
            self._client.disconnect()
        line = self._client.socket()
        if line is not None:  # the library closes it once DISCONNECT is sent
            line.close()

    @property
    def _where(self) -> str:
        return f"the broker {self._broker.address}"

    # Callbacks of the library; it passes more arguments than are needed here.

    def _on_connect(
        self, client: Any, _data: Any, _flags: Any, code: "ReasonCode", properties: "Properties | None"
    ) -> None:
        if code.value >= REFUSED:
            hint = " (it must speak MQTT 5)" if code.value == WRONG_VERSION else ""
            self._over = BrokerLost(f"{self._where} rejects the connection: {code}{hint}")
            return
        self._max_send = getattr(properties, "MaximumPacketSize", self._max_send)
        self._max_in_flight = getattr(properties, "ReceiveMaximum", self._max_in_flight)
        self.ready = True

    def _on_disconnect(self, client: Any, _data: Any, _flags: Any, code: "ReasonCode", _properties: Any) -> None:
        if self._over is None:
            how = "was lost" if code.value == REFUSED else f"ended: {code}"
            self._over = BrokerLost(f"the connection to {self._where} {how}", too_large=code.value == TOO_LARGE)

    def _on_message(self, client: Any, _data: Any, message: "MQTTMessage") -> None:
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
        except Exception:  # a mistake in the program, not the broker's
            logging.getLogger(__name__).exception("a message from the broker could not be processed")
            self.acknowledge(incoming)

    def _on_publish(self, client: Any, _data: Any, mid: int, code: "ReasonCode", _properties: Any) -> None:
        message = self._in_flight.pop(mid, None)
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
    where = f"the broker {broker.address}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{where} presents a certificate that is not trusted ({error.verify_message}): "
            "is mqtt.ca_file the authority that signed it, and mqtt.host the name in it?"
        )
    if isinstance(error, ssl.SSLError):
        return f"{where}: the TLS handshake failed: {error}"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {CONNECT_S:g} s"
    return f"{where} cannot be reached: {getattr(error, 'strerror', None) or error}"
