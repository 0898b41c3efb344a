"""Sending a webhook's messages: order, retries on the simulated clock, headers, files with secrets."""

import base64
import hashlib
import hmac
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_app.config import WebhookConfig
from edge_app.errors import InputError
from edge_app.rules.http import Answer, Policy, WebhookFailed
from edge_app.rules.queue import Message, MessageQueue
from edge_app.rules.webhooks import MOST_REFUSALS, Sender, prepare, signature
from edge_app.simulation.devices import SimulatedClock
from support.pipeline_parts import Reports

WEBHOOK = WebhookConfig(name="hub", url="https://hub.example/hook")
HOUR_S = 3600


class Receiver:
    """Stands for the network: answers with what it is told, or fails."""

    def __init__(self) -> None:
        self.answer: int | Answer | str = 204
        self.got: list[str] = []
        self.headers: dict[str, str] = {}
        self.tried = 0

    def __call__(self, url: str, body: bytes, headers: Any, policy: Policy) -> Answer:
        assert url == WEBHOOK.url
        self.tried += 1
        self.headers = dict(headers)
        if isinstance(self.answer, str):
            raise WebhookFailed(self.answer)
        found = self.answer if isinstance(self.answer, Answer) else Answer(self.answer, None)
        if 200 <= found.status < 300:
            self.got.append(body.decode())
        return found


class Sending:
    """A sender with its parts, on the simulated clock."""

    def __init__(self, folder: Path, config: WebhookConfig = WEBHOOK) -> None:
        self.clock, self.reports, self.receiver = SimulatedClock(), Reports(), Receiver()
        self.queue = MessageQueue(folder, {"hub": 100})
        self.sender = Sender(
            prepare(config),
            self.queue,
            self.clock,
            self.reports,
            send=self.receiver,
            wall=lambda: 1_800_000_000.4,
            chance=random.Random(1),
        )

    def add(self, *names: str) -> None:
        self.queue.add([Message("hub", name, "text/plain", name.encode()) for name in names])

    def run(self, seconds: float = 0.0) -> None:
        """Send until nothing waits, or for so long."""
        end_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        while (wait_s := self.sender.step()) is not None:
            left_s = (end_ns - self.clock.monotonic_ns()) / 1e9
            if wait_s > left_s:
                self.clock.advance(max(0.0, left_s))
                return
            self.clock.advance(wait_s)


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Sending]:
    found = Sending(tmp_path)
    yield found
    found.queue.close()


def test_messages_are_sent_in_order_and_removed(sending: Sending) -> None:
    sending.add("a", "b", "c")
    sending.run()
    assert sending.receiver.got == ["a", "b", "c"]
    assert sending.queue.waiting("hub") == 0
    assert sending.sender.status() == ("hub", 0, 3, 0, "")


def test_a_receiver_that_is_down_for_an_hour_gets_everything_in_order(sending: Sending) -> None:
    sending.receiver.answer = "Connection refused"
    sending.add("a", "b")
    sending.run(HOUR_S)
    assert sending.receiver.got == []
    assert 10 < sending.receiver.tried < 40, "a wait is twice the one before, up to five minutes"
    assert sending.sender.status() == ("hub", 2, 0, 0, "Connection refused")
    sending.receiver.answer = 200
    sending.add("c")
    sending.run(6 * 60)
    assert sending.receiver.got == ["a", "b", "c"]
    assert sending.reports.events == ["webhook_failed", "webhook_well"], "once for each time that it is away"


def test_nothing_is_sent_before_the_wait_is_over(sending: Sending) -> None:
    sending.receiver.answer = 503
    sending.add("a")
    wait_s = sending.sender.step()
    assert wait_s is not None
    assert 0.7 < wait_s < 1.3
    sending.add("b")
    assert sending.sender.step() == pytest.approx(wait_s)
    assert sending.receiver.tried == 1


def test_a_receiver_may_ask_for_a_longer_wait(sending: Sending) -> None:
    sending.receiver.answer = Answer(429, 90.0)
    sending.add("a")
    assert sending.sender.step() == 90.0
    sending.receiver.answer = Answer(429, 10_000.0)
    sending.clock.advance(90)
    assert sending.sender.step() == 3600.0


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302, 307])
def test_a_message_that_is_refused_for_good_is_given_up(sending: Sending, status: int) -> None:
    sending.receiver.answer = status
    sending.add("a")
    sending.run()
    assert sending.receiver.tried == 1
    assert sending.sender.status() == ("hub", 0, 0, 1, f"the receiver answered with status {status}")
    assert sending.reports.events == ["webhook_given_up"]


def test_a_message_that_breaks_the_receiver_does_not_hold_up_the_others(sending: Sending) -> None:
    sending.receiver.answer = 500
    sending.add("bad")
    sending.run(24 * HOUR_S)
    assert sending.receiver.tried == MOST_REFUSALS
    assert sending.queue.waiting("hub") == 0
    sending.receiver.answer = 200
    sending.add("good")
    sending.run(HOUR_S)
    assert sending.receiver.got == ["good"]


def test_a_message_is_given_up_after_its_time(tmp_path: Path) -> None:
    sending = Sending(tmp_path, WebhookConfig(name="hub", url=WEBHOOK.url, retry_hours=2))
    sending.receiver.answer = "Connection refused"
    sending.add("a")
    sending.run(1.9 * HOUR_S)
    assert sending.queue.waiting("hub") == 1
    sending.run(0.5 * HOUR_S)
    assert sending.queue.waiting("hub") == 0
    sending.queue.close()


def test_after_a_restart_what_waits_is_sent(tmp_path: Path, sending: Sending) -> None:
    sending.receiver.answer = "Connection refused"
    sending.add("a")
    sending.run(10)
    sending.queue.close()
    again = Sending(tmp_path)
    again.run()
    assert again.receiver.got == ["a"]
    again.queue.close()


def test_a_message_has_its_id_and_its_time(sending: Sending) -> None:
    sending.add("a")
    sending.run()
    headers = sending.receiver.headers
    assert headers["webhook-id"] == "a"
    assert headers["webhook-timestamp"] == "1800000000"
    assert headers["Content-Type"] == "text/plain"
    assert headers["User-Agent"].startswith("edge-app/")
    assert "webhook-signature" not in headers
    assert "Authorization" not in headers


def secret(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def test_a_message_is_signed_and_has_a_token(tmp_path: Path) -> None:
    config = WebhookConfig(
        name="hub",
        url_file=secret(tmp_path, "url", "https://hub.example/hook\n"),
        token_file=secret(tmp_path, "token", "tk_123\n"),
        secret_file=secret(tmp_path, "key", "0123456789abcdef\n"),
        headers={"Title": "The door"},
    )
    sending = Sending(tmp_path, config)
    sending.add("a")
    sending.run()
    headers = sending.receiver.headers
    assert headers["Authorization"] == "Bearer tk_123"
    assert headers["Title"] == "The door"
    wanted = hmac.new(b"0123456789abcdef", b"a.1800000000.a", hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(wanted).decode()}"
    assert "tk_123" not in str(sending.reports.told)
    sending.queue.close()


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks specification's reference implementations."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("url_file", "ftp://s3cret/", "webhook 'hub': url_file = .* does not hold an address such as https://"),
        ("token_file", "s3cret word", "webhook 'hub': token_file = .* holds blanks or characters outside ASCII"),
        ("secret_file", "s3cret", "webhook 'hub': secret_file = .* holds 6 bytes, expected 16 to"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, key: str, content: str, message: str) -> None:
    keys: dict[str, Any] = {"url": "" if key == "url_file" else WEBHOOK.url, key: secret(tmp_path, "file", content)}
    with pytest.raises(InputError, match=message) as caught:
        prepare(WebhookConfig(name="hub", **keys))
    assert "s3cret" not in str(caught.value)


def test_a_certificate_authority_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"webhook 'hub': ca_file = .*nowhere' cannot be read"):
        prepare(WebhookConfig(name="hub", url=WEBHOOK.url, ca_file=str(tmp_path / "nowhere")))
