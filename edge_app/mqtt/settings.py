"""From the configuration to a bridge: files are read and checked, nothing is connected yet."""

from pathlib import Path
from typing import NamedTuple

from edge_app.config import MqttConfig
from edge_app.errors import InputError
from edge_app.mqtt.connection import Broker, needs_extra, tls_context
from edge_app.mqtt.identity import MACHINE_ID, device_id
from edge_app.mqtt.offers import MIN_KEY
from edge_app.mqtt.secret_files import check_readable, read_secret
from edge_app.mqtt.topics import Topics

LARGEST_PACKET = 1 << 20
"""Bytes; without offers nothing that is meant for us is as large."""


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


def prepare(config: MqttConfig, machine_id: Path = MACHINE_ID) -> MqttSettings:
    """Return what a bridge needs. Raises InputError for files that are not right, and RuntimeMissing."""
    needs_extra()
    device = device_id(config.device, machine_id)
    key = None
    if config.offers_key_file:
        key = read_secret("mqtt.offers_key_file", Path(config.offers_key_file), at_least=MIN_KEY)
    return MqttSettings(config, broker_of(config, device), Topics(config.base, device), key)


def broker_of(mqtt: MqttConfig, device: str) -> Broker:
    """Return where the broker is and how to sign in. Raises InputError."""
    password = None
    if mqtt.password_file:
        try:
            password = read_secret("mqtt.password_file", Path(mqtt.password_file)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"mqtt.password_file = {mqtt.password_file!r} holds bytes that are no UTF-8") from error
    context = None
    if mqtt.tls:
        certificate = check_readable("mqtt.certificate_file", mqtt.certificate_file)
        if certificate:
            read_secret("mqtt.key_file", Path(mqtt.key_file), at_most=1 << 16)
        ca_file = check_readable("mqtt.ca_file", mqtt.ca_file)
        context = tls_context(ca_file, (certificate, mqtt.key_file) if certificate else None)
    offered = mqtt.offer_bytes if mqtt.offers != "off" else 0
    return Broker(
        mqtt.host,
        mqtt.port_in_use,
        f"edge-app-{device}",
        mqtt.user or None,
        password,
        context,
        LARGEST_PACKET + offered,
    )
