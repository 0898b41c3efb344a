"""A real Mosquitto of a test's own, and someone who listens to it."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: pip install 'edge-app[mqtt]'")
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WAIT_S = 120
"""The longest that anything is waited for: two whole devices that start on a busy machine take a while."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ASKED_AGAIN_S = 2


class Mosquitto:
    """A broker on a free port of the loopback interface; can be stopped and started again."""

    def __init__(self, folder: Path, *settings: str) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto")
        self.port = free_port()
        self._program = program
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} 127.0.0.1", "user root", "log_dest stderr", "log_type all", *settings]
        if not any(line.startswith("password_file") for line in settings):
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self._came = threading.Condition()

    def start(self) -> "Mosquitto":
        began = len(self.log)
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True).start()
        self.wait_for_log(lambda lines: any(line.endswith(" running") for line in lines[began:]))
        return self

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._came:
                    self.log.append(line.rstrip())
                    self._came.notify_all()

    def wait_for_log(self, right: Callable[[list[str]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.log), WAIT_S), self.log[-20:]

    def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for _ in range(WAIT_S // ASKED_AGAIN_S):  # a signal between "running" in its log and its loop is lost on it
            if kill:
                process.kill()
            else:
                process.terminate()
            try:
                process.wait(ASKED_AGAIN_S)
            except subprocess.TimeoutExpired:
                continue
            return
        pytest.fail("\n".join(["Mosquitto does not stop; the end of its log:", *self.log[-40:]]))


class Heard(NamedTuple):
    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None


class Observer:
    """A client that keeps what it hears, and sends."""

    def __init__(
        self,
        port: int,
        *topics: str,
        kept: bool = False,
        ca: Path | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """With `kept`, the broker keeps what comes while we are away."""
        self.heard: list[Heard] = []
        self._topics = topics
        self._came = threading.Condition()
        self._ready = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, "observer" if kept else "", protocol=MQTTProtocolVersion.MQTTv5
        )
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600 if kept else 0
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._client.username_pw_set(user, password)
        if ca is not None:
            self._client.tls_set(str(ca))
        self._client.connect("127.0.0.1", port, clean_start=not kept, properties=session)
        self._client.loop_start()
        assert self._ready.wait(WAIT_S)

    def _message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        with self._came:
            self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, correlation))
            self._came.notify_all()

    def wait_for(self, right: Callable[[list[Heard]], Any]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.heard), WAIT_S), self.heard[-20:]

    def last(self, topic: str, right: Callable[[bytes], Any] = lambda _: True) -> bytes:
        """Wait until the newest content of a topic is right, and return it."""

        def newest() -> bytes | None:
            return next((one.payload for one in reversed(self.heard) if one.topic == topic), None)

        self.wait_for(lambda _: (found := newest()) is not None and right(found))
        found = newest()
        assert found is not None
        return found

    def of(self, topic: str) -> list[bytes]:
        with self._came:
            return [one.payload for one in self.heard if one.topic == topic]

    def send(
        self,
        topic: str,
        payload: bytes | str,
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos, retain, properties).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Certificates:
    """An authority, a server's certificate for localhost and 127.0.0.1, and a client's; made by openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: apt-get install openssl")
        self._folder = folder
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other")
        self.server = self._signed("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.client = self._signed("client", "extendedKeyUsage=clientAuth")

    def path(self, name: str) -> Path:
        return self._folder / name

    def _authority(self, name: str) -> Path:
        self._openssl(
            *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            *("-addext", "keyUsage=critical,keyCertSign"),
        )
        return self.path(f"{name}.pem")

    def _signed(self, name: str, extension: str) -> tuple[Path, Path]:
        self.path(f"{name}.ext").write_text(extension + "\n")
        self._openssl(
            *("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-out", f"{name}.pem", "-extfile", f"{name}.ext"),
        )
        self.path(f"{name}.key").chmod(0o600)
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)
