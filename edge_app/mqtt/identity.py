"""What a device is called among others on one broker."""

import hashlib
import hmac
from pathlib import Path

from edge_app.errors import InputError
from edge_app.mqtt.topics import OFFERS

MACHINE_ID = Path("/etc/machine-id")
APPLICATION = bytes.fromhex("9c1e0a4f3f0d4f5e8f0b6d2a7c5e4b13")
"""Any constant: with another one, the same machine is called otherwise."""
DIGITS = 12


def device_id(named: str, machine_id: Path = MACHINE_ID) -> str:
    """Return the id that the configuration names, else one made of the machine's.

    machine-id(5) wants that id kept confidential, so what goes out is HMAC-SHA256 with it as the key over a constant of
    this program, as sd_id128_get_machine_app_specific(3) does it; 48 bits of that. Raises InputError for a name that
    is taken, and where a machine has no id.
    """
    if named == OFFERS:
        raise InputError(f"mqtt.device = {named!r}, expected another name: the topics of offers begin with it")
    if named:
        return named
    try:
        secret = bytes.fromhex(machine_id.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        secret = b""
    if len(secret) != 16:
        raise InputError(f"{machine_id} holds no id of this machine, expected 32 hexadecimal digits: name mqtt.device")
    return hmac.new(secret, APPLICATION, hashlib.sha256).hexdigest()[:DIGITS]
