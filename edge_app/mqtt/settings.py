"""From the configuration to a bridge: files are read and checked, nothing is connected yet."""

from pathlib import Path
from typing import NamedTuple

from edge_app.config import MqttConfig
from edge_app.errors import InputError
from edge_app.mqtt.bridge import BridgeSettings
from edge_app.mqtt.connection import Broker, needs_extra, tls_context
from edge_app.mqtt.identity import MACHINE_ID, device_id
from edge_app.mqtt.offers import MIN_KEY
from edge_app.mqtt.secret_files import check_readable, read_secret
from edge_app.mqtt.topics import Topics

LARGEST_PACKET = 1 << 20
"""Bytes; without offers nothing that is meant for us is as large."""


class MqttSettings(NamedTuple):
    """What a bridge needs of the configuration."""

    broker: Broker
    wishes: BridgeSettings


def prepare(mqtt: MqttConfig, machine_id: Path = MACHINE_ID) -> MqttSettings:
    """Return what a bridge needs. Raises InputError for files that are not right, and RuntimeMissing."""
    needs_extra()
    device = device_id(mqtt.device, machine_id)
    return MqttSettings(broker_of(mqtt, device), wishes_of(mqtt, device))


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
    offered = mqtt.offer_mb << 20 if mqtt.offers != "off" else 0
    return Broker(
        mqtt.host,
        mqtt.port_in_use,
        f"edge-app-{device}",
        mqtt.user or None,
        password,
        context,
        LARGEST_PACKET + offered,
    )


def wishes_of(mqtt: MqttConfig, device: str) -> BridgeSettings:
    """Return the rest. Raises InputError."""
    key = None
    if mqtt.offers_key_file:
        key = read_secret("mqtt.offers_key_file", Path(mqtt.offers_key_file), at_least=MIN_KEY)
    return BridgeSettings(
        topics=Topics(mqtt.base, device),
        name=mqtt.name or f"edge-app {device}",
        discovery=mqtt.discovery,
        commands=mqtt.commands,
        hold_s=mqtt.hold_s,
        picture_side=mqtt.thumbnail_side if mqtt.thumbnails else 0,
        buffer=mqtt.buffer,
        offers=mqtt.offers,
        offers_key=key,
        offer_bytes=mqtt.offer_mb << 20,
    )
