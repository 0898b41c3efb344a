"""Sends the messages of one webhook, one after the other, and again after a failure; a thread of its own."""

import base64
import hashlib
import hmac
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from edge_app import __version__
from edge_app.closing import Closing
from edge_app.config import WebhookConfig
from edge_app.config.acting import URL
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import EdgeAppError, InputError
from edge_app.messages import Report
from edge_app.rules.http import Answer, Policy, WebhookFailed, post
from edge_app.rules.queue import Message, MessageQueue
from edge_app.secret_files import check_readable, read_secret

FIRST_S, LONGEST_S = 1.0, 300.0
"""The first wait after a failure, and the longest: each is twice the one before."""
MOST_ASKED_S = 3600.0
"""The longest wait that a receiver may ask for."""
AGAIN = frozenset({408, 425, 429})
"""Statuses besides 5xx after which the same message is sent again."""
MOST_REFUSALS = 20
"""Answers after which a message is given up: one bad message must not hold up the others for long."""
LEAST_KEY = 16


class WebhookTarget(NamedTuple):
    """A webhook with the contents of its files."""

    config: WebhookConfig
    url: str
    token: str | None
    key: bytes | None

    @property
    def policy(self) -> Policy:
        """The limits of its requests."""
        config = self.config
        return Policy(config.allow_private, config.redirects, config.timeout_s, config.ca_file or None)

    def headers(self, message: Message, time_s: int) -> dict[str, str]:
        """Return the headers of an attempt at a time, seconds since 1970.

        Id, time and signature are those of the Standard Webhooks specification (standardwebhooks.com).
        """
        found = {
            "Content-Type": message.media,
            "User-Agent": f"edge-app/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(time_s),
            **self.config.headers,
        }
        if self.key is not None:
            found["webhook-signature"] = signature(self.key, message.id, time_s, message.body)
        if self.token is not None:
            found["Authorization"] = f"Bearer {self.token}"
        return found


def signature(key: bytes, message_id: str, time_s: int, body: bytes) -> str:
    """Return the signature: HMAC-SHA256 over `ID.TIME.BODY`."""
    signed = f"{message_id}.{time_s}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode('ascii')}"


def prepare(config: WebhookConfig) -> WebhookTarget:
    """Read the files of a webhook. Raises InputError that names the webhook, the key and the file."""
    where = f"webhook {config.name!r}:"
    url, token, key = config.url, None, None
    if config.url_file:
        text = read_secret(f"{where} url_file", Path(config.url_file)).decode("utf-8", "replace")
        if not URL.fullmatch(text):
            # not shown: it is a secret
            raise InputError(f"{where} url_file = {config.url_file!r} does not hold an address such as https://...")
        url = text
    if config.token_file:
        token = _header_text(f"{where} token_file", config.token_file)
    if config.secret_file:
        key = read_secret(f"{where} secret_file", Path(config.secret_file), at_least=LEAST_KEY)
    check_readable(f"{where} ca_file", config.ca_file)
    return WebhookTarget(config, url, token, key)


def _header_text(key: str, path: str) -> str:
    found = read_secret(key, Path(path))
    if not all(0x21 <= byte <= 0x7E for byte in found):
        raise InputError(f"{key} = {path!r} holds blanks or characters outside ASCII, expected a token")
    return found.decode("ascii")


class Post(Protocol):
    """Sends one request; `edge_app.rules.http.post`."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], policy: Policy) -> Answer:
        """Return the answer. Raises WebhookFailed."""


class WebhookStatus(NamedTuple):
    """How a webhook does."""

    name: str
    waiting: int
    delivered: int
    """Since the start; so is what was given up."""
    given_up: int
    failure: str
    """Why the last attempt failed; "" if it did not."""


class Sender(Closing):
    """Sends what the queue holds for a webhook. `step` makes one attempt; `start` lets a thread make them."""

    def __init__(
        self,
        target: WebhookTarget,
        queue: MessageQueue,
        clock: Clock,
        report: Report,
        *,
        send: Post = post,
        wall: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self._target, self._queue, self._clock, self._report = target, queue, clock, report
        self._send, self._wall = send, wall
        self._chance = chance or random.Random()
        self._name = target.config.name
        self._wake, self._stop = threading.Event(), threading.Event()
        self._number = 0
        """The message that failed last, and its attempts."""
        self._first_ns = self._due_ns = 0
        self._attempts = self._refusals = 0
        self._delivered = self._given_up = 0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name=f"webhook {self._name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def config(self) -> WebhookConfig:
        """The webhook's configuration."""
        return self._target.config

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Note that the queue has a new message."""
        self._wake.set()

    def status(self) -> WebhookStatus:
        """Return how it does. Raises StateNotWritable."""
        waiting = self._queue.waiting(self._name)
        return WebhookStatus(self._name, waiting, self._delivered, self._given_up, self._failure)

    def step(self) -> float | None:
        """Make one attempt if one is due; return the seconds until the next, None: when a message is added.

        Raises StateNotWritable where the queue cannot be used.
        """
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return (self._due_ns - now_ns) / NS_PER_S
        found = self._queue.next(self._name)
        if found is None:
            return None
        number, message = found
        if number != self._number:
            self._number, self._first_ns, self._refusals = number, now_ns, 0
        try:
            headers = self._target.headers(message, round(self._wall()))
            answer = self._send(self._target.url, message.body, headers, self._target.policy)
        except WebhookFailed as error:
            return self._failed(str(error))
        if 200 <= answer.status < 300:
            self._queue.remove(number)
            self._well()
            return 0.0
        reason = f"the receiver answered with status {answer.status}"
        self._refusals += 1
        if not (answer.status in AGAIN or answer.status >= 500):
            return self._give_up(reason)
        return self._failed(reason, answer.retry_after_s or 0.0)

    def _well(self) -> None:
        self._delivered += 1
        if self._failure:
            self._report(logging.INFO, "webhook_well", webhook=self._name)
        self._attempts, self._failure = 0, ""

    def _failed(self, reason: str, asked_s: float = 0.0) -> float:
        now_ns = self._clock.monotonic_ns()
        late = now_ns - self._first_ns > self._target.config.retry_hours * 3600 * NS_PER_S
        if late or self._refusals >= MOST_REFUSALS:
            return self._give_up(reason)
        if not self._failure:  # once for each time that it is away
            self._report(logging.WARNING, "webhook_failed", webhook=self._name, reason=reason)
        self._failure = reason
        wait_s: float = min(LONGEST_S, FIRST_S * 2 ** min(self._attempts, 20)) * self._chance.uniform(0.75, 1.25)
        self._attempts += 1
        wait_s = max(wait_s, min(asked_s, MOST_ASKED_S))
        self._due_ns = now_ns + round(wait_s * NS_PER_S)
        return wait_s

    def _give_up(self, reason: str) -> float:
        self._given_up += 1
        self._failure = reason
        self._report(logging.ERROR, "webhook_given_up", webhook=self._name, reason=reason)
        self._queue.remove(self._number)
        return 0.0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                wait_s = self.step()
            except EdgeAppError as error:
                if str(error) != self._failure:
                    self._report(logging.ERROR, "webhook_failed", webhook=self._name, reason=str(error))
                self._failure, wait_s = str(error), LONGEST_S
            if wait_s is None:
                self._wake.wait()
            elif wait_s > 0:
                # not woken by new messages: they wait behind the one that failed
                self._clock.wait(self._stop, wait_s)

    def stop(self) -> None:
        """Make no further attempt; returns at once."""
        self._stop.set()
        self._wake.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Stop; an attempt that runs has a moment to end, and is made again at the next start if it does not."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
