"""What a device is called."""

import hashlib
import hmac
from pathlib import Path

import pytest

from edge_app.errors import InputError
from edge_app.mqtt.identity import APPLICATION, device_id

MACHINE = "0123456789abcdef0123456789abcdef"


def test_the_configured_name_comes_first(tmp_path: Path) -> None:
    assert device_id("kitchen", tmp_path / "none") == "kitchen"


def test_the_name_of_the_offers_topics_is_taken() -> None:
    with pytest.raises(InputError, match=r"mqtt\.device = 'offers', expected another name"):
        device_id("offers")


def test_the_machine_s_id_is_not_revealed_and_gives_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text(MACHINE + "\n")
    found = device_id("", path)
    assert found == device_id("", path)
    assert found == hmac.new(bytes.fromhex(MACHINE), APPLICATION, hashlib.sha256).hexdigest()[:12]
    assert found not in MACHINE
    path.write_text(MACHINE[::-1])
    assert device_id("", path) != found


@pytest.mark.parametrize("content", [None, "", "uninitialized\n", "0123", "\xff" * 32])
def test_a_machine_without_an_id_needs_a_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "machine-id"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"machine-id holds no id of this machine.*name mqtt\.device"):
        device_id("", path)
