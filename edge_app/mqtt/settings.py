"""[mqtt] of the configuration -> the settings of a bridge. Files are read and checked; nothing is connected yet."""

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edge_app.config import MqttConfig
from edge_app.config.places import topic_part
from edge_app.errors import InputError
from edge_app.mqtt.connection import Broker, needs_extra, tls_context
from edge_app.mqtt.offers import MIN_KEY
from edge_app.mqtt.topics import OFFERS, Topics
from edge_app.secret_files import check_readable, read_secret

MAX_PACKET = 1 << 20
"""Bytes of the largest packet that the broker may send, without offers: commands are far smaller."""
# stays the same when the network card or the host's name changes
MACHINE_ID = Path("/etc/machine-id")
APPLICATION = bytes.fromhex("9c1e0a4f3f0d4f5e8f0b6d2a7c5e4b13")
"""An arbitrary constant that makes the derived id specific to this program."""
ID_DIGITS = 12


class MqttSettings(NamedTuple):
    """The section [mqtt] of the configuration, with the contents of its files."""

    config: MqttConfig
    broker: Broker
    topics: Topics
    offers_key: bytes | None = None

    @property
    def name(self) -> str:
        """The device's name for people."""
        return self.config.name or f"edge-app {self.topics.device}"

    @property
    def takes_commands(self) -> bool:
        """Whether commands are accepted."""
        return self.config.commands != "none"


def prepare(config: MqttConfig, machine_id: Path = MACHINE_ID) -> MqttSettings:
    """Return the settings. Raises InputError for unusable files, and RuntimeMissing."""
    needs_extra()
    device = device_id(config.device, machine_id)
    key = None
    if config.offers_key_file:
        key = read_secret("mqtt.offers_key_file", Path(config.offers_key_file), at_least=MIN_KEY)
    return MqttSettings(config, _broker(config, device), Topics(config.base, device), key)


def of_place(settings: MqttSettings, place: str) -> MqttSettings:
    """Return the settings of one of several places: a device of its own, named after device and place."""
    device = f"{settings.topics.device}-{topic_part(place)}"
    broker = settings.broker._replace(client_id=f"edge-app-{device}")
    return settings._replace(
        config=replace(settings.config, name=f"{settings.name} {place}"),
        broker=broker,
        topics=settings.topics._replace(device=device),
    )


def device_id(named: str, machine_id: Path = MACHINE_ID) -> str:
    """Return the id that the configuration names, or else one derived from the machine's.

    machine-id(5) asks to keep that id confidential, so only HMAC-SHA256 with it as the key over a constant of this
    program is published, as sd_id128_get_machine_app_specific(3) does; 48 bits of it. Raises InputError for a reserved
    name, and if the machine has no id.
    """
    if named == OFFERS:
        raise InputError(f"mqtt.device = {named!r}, expected another name: the topics of offers begin with it")
    if named:
        return named
    try:
        secret = bytes.fromhex(machine_id.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        secret = b""
    # images of systems come with an empty file, which is filled at the first start
    if len(secret) != 16:
        raise InputError(f"{machine_id} holds no machine id, expected 32 hexadecimal digits: set mqtt.device")
    return hmac.new(secret, APPLICATION, hashlib.sha256).hexdigest()[:ID_DIGITS]


def _broker(config: MqttConfig, device: str) -> Broker:
    password = None
    if config.password_file:
        try:
            password = read_secret("mqtt.password_file", Path(config.password_file)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"mqtt.password_file = {config.password_file!r} is not UTF-8 text") from error
    context = None
    if config.tls:
        certificate = check_readable("mqtt.certificate_file", config.certificate_file)
        if certificate:
            read_secret("mqtt.key_file", Path(config.key_file), at_most=1 << 16)
        ca_file = check_readable("mqtt.ca_file", config.ca_file)
        context = tls_context(ca_file, (certificate, config.key_file) if certificate else None)
    offered = config.offer_bytes if config.offers != "off" else 0
    return Broker(
        config.host,
        config.port_in_use,
        f"edge-app-{device}",
        config.user or None,
        password,
        context,
        MAX_PACKET + offered,
    )
