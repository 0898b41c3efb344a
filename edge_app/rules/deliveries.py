"""Hands firings over to files and to the queue of webhooks, in a thread of its own: disks and pictures take time."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_app.closing import Closing
from edge_app.devices.ports import Clock
from edge_app.errors import EdgeAppError
from edge_app.files import GROUP_READABLE, append_line
from edge_app.messages import Frame, Report
from edge_app.rules.firing import Firing, body_of, to_json
from edge_app.rules.queue import Message, MessageQueue

if TYPE_CHECKING:
    from edge_app.rules.webhooks import Sender, WebhookStatus

MOST_JOBS = 64
"""Firings that wait to be handed over; each may hold a frame."""
MOST_UNSAVED = 256
"""Messages kept in memory while the queue cannot be written."""
CLOSE_S = 1.0
"""Time that attempts have to end when the device stops."""
AGAIN_S = 5.0
"""Until the queue is tried again."""

MakeJpeg = Callable[[Frame, int], bytes]
"""Frame and longer side -> JPEG of what the encoder sees."""


class Delivery(NamedTuple):
    """A firing on its way to a webhook or into a file."""

    firing: Firing
    webhook: str = ""
    path: str = ""
    frame: Frame | None = None


class Deliveries(Closing):
    """Takes firings from the rules, and never makes them wait. `step` does the work; `start` lets a thread do it."""

    def __init__(
        self,
        queue: MessageQueue | None,
        senders: "Mapping[str, Sender]",
        make_jpeg: MakeJpeg,
        device: str,
        clock: Clock,
        report: Report,
    ) -> None:
        """`senders` send what the queue holds, by the name of their webhook; `device` is this machine's name."""
        self._queue, self._senders, self._make_jpeg = queue, senders, make_jpeg
        self._device, self._clock, self._report = device, clock, report
        self._configs = {name: sender.config for name, sender in senders.items()}
        self._jobs: deque[Delivery] = deque(maxlen=MOST_JOBS)
        self._unsaved: deque[Message] = deque(maxlen=MOST_UNSAVED)
        self._failures: dict[str, str] = {}
        """The last failure of each thing, so that it is reported once."""
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        for sender in self._senders.values():
            sender.start()
        self._thread.start()

    def wants_picture(self, webhook: str) -> bool:
        """Return whether a webhook is sent pictures."""
        return self._configs[webhook].picture

    def add(self, delivery: Delivery) -> None:
        """Take a firing; returns at once."""
        self._jobs.append(delivery)
        self._wake.set()

    def status(self) -> "list[WebhookStatus]":
        """Return how each webhook does. Raises StateNotWritable."""
        return [sender.status() for sender in self._senders.values()]

    def step(self) -> float | None:
        """Hand over what waits; return the seconds after which to try again, None: nothing waits."""
        for job in self._taken():
            if job.path:
                self._append(job.path, job.firing)
            else:
                self._unsaved.append(self._message(job))
        if self._queue is None or not self._unsaved:
            return None
        try:
            self._queue.add(tuple(self._unsaved))
        except EdgeAppError as error:
            self._note("queue", str(error))
            return AGAIN_S
        self._note("queue", "")
        for webhook in {message.webhook for message in self._unsaved}:
            self._senders[webhook].wake()
        self._unsaved.clear()
        return None

    def _taken(self) -> Iterator[Delivery]:
        while self._jobs:
            yield self._jobs.popleft()

    def _message(self, job: Delivery) -> Message:
        config = self._configs[job.webhook]
        jpeg = None
        if job.frame is not None and config.picture:
            try:
                jpeg = self._make_jpeg(job.frame, config.picture_side)
            except EdgeAppError as error:  # the message matters more than its picture
                self._note("picture", str(error))
        media, body = body_of(job.firing, config, self._device, jpeg)
        return Message(job.webhook, job.firing.id, media, body)

    def _append(self, path: str, firing: Firing) -> None:
        try:
            append_line(Path(path), to_json(firing.fields()) + b"\n", mode=GROUP_READABLE)
        except OSError as error:
            self._note(path, f"{path}: a line cannot be appended: {error.strerror or error}")
        else:
            self._note(path, "")

    def _note(self, what: str, reason: str) -> None:
        before = self._failures.get(what, "")
        self._failures[what] = reason
        if reason and reason != before:
            self._report(logging.ERROR, "delivery_failed", reason=reason)
        elif before and not reason:
            self._report(logging.INFO, "delivery_well", what=what)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            wait_s = self.step()
            if wait_s is None:
                self._wake.wait()
            else:
                self._clock.wait(self._stop, wait_s)

    def close(self) -> None:
        """Store what waits, and stop."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        with ExitStack() as stack:
            if self._queue is not None and self._all_ended(list(self._senders.values())):
                stack.callback(self._queue.close)
            if not self._thread.is_alive():
                self.step()

    @staticmethod
    def _all_ended(senders: "Sequence[Sender]") -> bool:
        """Close the senders; return whether none still waits for an answer, and uses the queue."""
        for sender in senders:
            sender.stop()
        # one limit for all: each may wait for an answer
        end = time.monotonic() + CLOSE_S
        for sender in senders:
            sender.close(max(0.0, end - time.monotonic()))
        return not any(sender.running for sender in senders)
