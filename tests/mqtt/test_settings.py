"""[mqtt] becomes a broker and settings; users, passwords and certificates at a real Mosquitto."""

import hashlib
import hmac
import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.config import MqttConfig
from edge_app.errors import InputError
from edge_app.mqtt.settings import APPLICATION, device_id, of_place, prepare
from support.house import House
from support.mosquitto import Certificates, Mosquitto, Observer

MACHINE = "0123456789abcdef0123456789abcdef"
LEAVES_A_SOCKET = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""paho-mqtt leaves a socket whose handshake failed to the garbage collector, which closes it at once, and warns."""


def secret(path: Path, text: str) -> str:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)


def house(tmp_path: Path, mqtt: MqttConfig) -> House:
    prepared = prepare(mqtt)
    return House(tmp_path / "state", 0, prepared.topics.device, broker=prepared.broker)


def works(house: House) -> None:
    with house:
        house.wait_connected()
        assert "broker_lost" not in house.reports.events


def refused(house: House, reason: str) -> None:
    """Check that the device logs the reason once, keeps trying, and keeps running."""
    with house:
        house.wait_for_report("broker_lost", lambda fields: reason in str(fields["reason"]))
        house.decide("cup")
        assert not house.bridge.client.connected.is_set()
        assert house.bridge.outbox.waiting


def test_the_configuration_becomes_what_a_bridge_needs(tmp_path: Path) -> None:
    key = secret(tmp_path / "key", "k" * 32)
    mqtt = MqttConfig(device="one", base="home", offers="signed", offers_key_file=key, thumbnails=True, tls=True)
    settings = prepare(mqtt)
    broker = settings.broker
    assert (broker.host, broker.port, broker.client_id, broker.user) == ("localhost", 8883, "edge-app-one", None)
    assert broker.max_packet == 5 << 20
    assert settings.topics.own("x") == "home/one/x"
    assert (settings.name, settings.config, settings.offers_key) == ("edge-app one", mqtt, b"k" * 32)
    assert prepare(MqttConfig(device="one", name="Kitchen")).name == "Kitchen"
    assert prepare(MqttConfig(device="one")).broker.port == 1883


def test_a_device_without_a_name_is_called_after_its_machine(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("0" * 32)
    assert len(prepare(MqttConfig(), tmp_path / "id").topics.device) == 12


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"user": "u", "password_file": "/nowhere"}, r"mqtt\.password_file = '/nowhere' cannot be read"),
        ({"user": "u", "password_file": "OPEN"}, r"has mode 0644, so other accounts may read it"),
        ({"user": "u", "password_file": "BINARY"}, r"is not UTF-8 text"),
        ({"offers_key_file": "SHORT"}, r"holds 5 bytes, expected 32 to 4096"),
        ({"tls": True, "ca_file": "/nowhere"}, r"mqtt\.ca_file = '/nowhere' cannot be read"),
        ({"tls": True, "ca_file": "SHORT"}, r"mqtt\.ca_file = .* holds no PEM certificates"),
        (
            {"tls": True, "certificate_file": "SHORT", "key_file": "SHORT"},
            r"are not a certificate and its key in PEM form, without a password",
        ),
        ({"tls": True, "certificate_file": "SHORT", "key_file": "OPEN"}, r"has mode 0644"),
    ],
)
def test_files_that_are_not_right_are_named_before_anything_starts(
    tmp_path: Path, keys: dict[str, str | bool], message: str
) -> None:
    files = {"OPEN": tmp_path / "open", "BINARY": tmp_path / "binary", "SHORT": tmp_path / "short"}
    files["OPEN"].write_text("x" * 40)
    files["OPEN"].chmod(0o644)
    files["BINARY"].write_bytes(b"\xff\xfe\xfd")
    files["BINARY"].chmod(0o600)
    secret(files["SHORT"], "short")
    named = {key: str(files.get(str(value), value)) if isinstance(value, str) else value for key, value in keys.items()}
    with pytest.raises(InputError, match=message):
        prepare(MqttConfig(device="one", **named))  # type: ignore[arg-type]


def set_password(file: Path, user: str, password: str) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
    file.touch(0o600)
    subprocess.run([program, "-b", str(file), user, password], check=True, capture_output=True)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that requires a user and a password."""
    passwords = tmp_path / "passwords"
    set_password(passwords, "camera", "s3cret word")
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}").start()
    yield broker
    broker.stop()


def test_the_right_password_lets_it_in_and_the_wrong_one_is_told(tmp_path: Path, locked: Mosquitto) -> None:
    how = {"device": "one", "host": "127.0.0.1", "port": locked.port}
    right, wrong = secret(tmp_path / "right", "s3cret word"), secret(tmp_path / "wrong", "guess")
    works(house(tmp_path, MqttConfig(**how, user="camera", password_file=right)))  # type: ignore[arg-type]
    refused(house(tmp_path, MqttConfig(**how, user="camera", password_file=wrong)), "Not authorized")  # type: ignore[arg-type]
    refused(house(tmp_path, MqttConfig(**how)), "Not authorized")  # type: ignore[arg-type]


def test_a_password_that_becomes_right_needs_no_restart_of_ours(tmp_path: Path, locked: Mosquitto) -> None:
    """The user is added to the broker later: the device, which kept trying, connects and delivers what waited."""
    mqtt = MqttConfig(
        device="one", host="127.0.0.1", port=locked.port, user="late", password_file=secret(tmp_path / "p", "later")
    )
    with house(tmp_path, mqtt) as one:
        one.wait_for_report("broker_lost")
        one.decide("cup")
        set_password(tmp_path / "passwords", "late", "later")
        locked.stop()
        locked.start()
        one.wait_connected()


def test_the_documented_access_list_lets_home_assistant_teach_and_not_forget(tmp_path: Path) -> None:
    lines = (Path(__file__).resolve().parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("    # mosquitto's acl_file")
    rules = [line.strip() for line in itertools.takewhile(lambda line: line.startswith("    "), lines[start:])]
    assert len(rules) > 5
    (tmp_path / "rules").write_text("\n".join(rules) + "\n")
    for user in ("camera", "homeassistant"):
        set_password(tmp_path / "passwords", user, "word")
    broker = Mosquitto(
        tmp_path, "allow_anonymous false", f"password_file {tmp_path}/passwords", f"acl_file {tmp_path}/rules"
    ).start()
    mqtt = MqttConfig(
        device="one", host="127.0.0.1", port=broker.port, user="camera", password_file=secret(tmp_path / "p", "word")
    )
    access = {"broker": prepare(mqtt).broker, "commands": "administer", "offers": "by-hand"}
    with House(tmp_path / "state", 0, "one", run=True, **access) as one:
        one.wait_connected()
        seen = Observer(broker.port, "edge-app/#", "homeassistant/#", user="homeassistant", password="word")
        for label in ("cup", "key"):
            seen.send("edge-app/one/command/teach", f'{{"label": "{label}"}}')
        seen.wait_for(lambda _: len(seen.of("edge-app/one/response")) == 2)
        seen.send("edge-app/one/command/forget_class", b'{"label": "cup"}')
        seen.send("edge-app/one/command/choose", b'{"label": "key"}')
        seen.wait_for(lambda _: len(seen.of("edge-app/one/response")) == 3)
        assert seen.last("homeassistant/device/edge-app-one/config", bool)
        assert one.learner.classes() == {"cup": 1, "key": 1}
        assert "message_refused" not in one.reports.events
        seen.close()
    broker.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secured(tmp_path: Path, certificates: Certificates) -> Iterator[Callable[..., Mosquitto]]:
    """Makes brokers with TLS."""
    made: list[Mosquitto] = []

    def make(*settings: str) -> Mosquitto:
        certificate, key = certificates.server
        made.append(
            Mosquitto(tmp_path, f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}", *settings)
        )
        return made[-1].start()

    yield make
    for broker in made:
        broker.stop()


@LEAVES_A_SOCKET
def test_tls_with_the_right_authority_the_wrong_one_and_none(
    tmp_path: Path, certificates: Certificates, secured: Callable[..., Mosquitto]
) -> None:
    port = secured().port
    how = {"device": "one", "host": "localhost", "port": port, "tls": True}
    works(house(tmp_path, MqttConfig(**how, ca_file=str(certificates.ca))))  # type: ignore[arg-type]
    works(house(tmp_path, MqttConfig(**how | {"host": "127.0.0.1"}, ca_file=str(certificates.ca))))  # type: ignore[arg-type]
    wrong = house(tmp_path, MqttConfig(**how, ca_file=str(certificates.other_ca)))  # type: ignore[arg-type]
    refused(wrong, "presents a certificate that is not trusted")
    refused(house(tmp_path, MqttConfig(**how)), "presents a certificate that is not trusted")  # type: ignore[arg-type]
    plain = house(tmp_path, MqttConfig(device="one", host="localhost", port=port))
    refused(plain, "the broker localhost")


@LEAVES_A_SOCKET
def test_a_name_that_is_not_the_certificate_s_is_refused(
    tmp_path: Path, certificates: Certificates, secured: Callable[..., Mosquitto]
) -> None:
    port = secured().port
    mqtt = MqttConfig(device="one", host="127.0.0.2", port=port, tls=True, ca_file=str(certificates.ca))
    refused(house(tmp_path, mqtt), "127.0.0.2")


@LEAVES_A_SOCKET
def test_a_client_s_certificate_lets_it_in_where_the_broker_wants_one(
    tmp_path: Path, certificates: Certificates, secured: Callable[..., Mosquitto]
) -> None:
    port = secured("require_certificate true").port
    how = {"device": "one", "host": "localhost", "port": port, "tls": True, "ca_file": str(certificates.ca)}
    certificate, key = map(str, certificates.client)
    works(house(tmp_path, MqttConfig(**how, certificate_file=certificate, key_file=key)))  # type: ignore[arg-type]
    refused(house(tmp_path, MqttConfig(**how)), "localhost")  # type: ignore[arg-type]


def test_over_tls_large_messages_pass_both_ways(
    tmp_path: Path, certificates: Certificates, secured: Callable[..., Mosquitto]
) -> None:
    """They take more than one TLS record: data that the library keeps in its buffer must be read too."""
    broker = secured()
    mqtt = MqttConfig(
        device="one", host="localhost", port=broker.port, tls=True, ca_file=str(certificates.ca), commands="teach"
    )
    prepared = prepare(mqtt)
    with House(tmp_path / "state", 0, "one", broker=prepared.broker, commands="teach", run=True) as one:
        one.wait_connected()
        one.bridge.outbox.state(one.topics.own("picture"), bytes(900_000))
        seen = Observer(broker.port, "edge-app/one/#", ca=certificates.ca)
        assert len(seen.last(one.topics.own("picture"), bool)) == 900_000
        for number in range(20):
            seen.send(one.topics.own("command/x"), bytes(15_000), qos=0)
            seen.send(one.topics.own("command/teach"), f'{{"label": "cup", "request": "{number}"}}')
        seen.wait_for(lambda _: len(seen.of(one.topics.own("response"))) == 20)
        seen.close()


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
    with pytest.raises(InputError, match=r"machine-id holds no machine id.*set mqtt\.device"):
        device_id("", path)


@pytest.mark.parametrize(
    ("place", "device"),
    [
        ("gate", "house-gate"),
        ("Gate", "house-gate-"),
        ("front gate", "house-front-gate-"),
        ("Küche 2", "house-kuche-2-"),
        ("門", "house-place-"),
    ],
)
def test_each_place_is_a_device_of_its_own(tmp_path: Path, place: str, device: str) -> None:
    settings = of_place(prepare(MqttConfig(enabled=True, device="house", name="House")), place)
    found = settings.topics.device
    assert re.fullmatch(re.escape(device) + ("[0-9a-f]{6}" if device.endswith("-") else ""), found)
    assert (settings.topics.base, settings.name) == ("edge-app", f"House {place}")
    assert settings.broker.client_id == f"edge-app-{found}"
