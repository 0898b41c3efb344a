"""The thread that carries out what the broker sends: commands and offers, one at a time."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from edge_app.closing import Closing
from edge_app.errors import EdgeAppError
from edge_app.mqtt.commands import CommandError, Commands, code_of, parse
from edge_app.mqtt.connection import Incoming
from edge_app.mqtt.outbox import Outbox
from edge_app.mqtt.payloads import to_json
from edge_app.mqtt.topics import Topics

MAX_WAITING = 32
"""Jobs that may wait. The broker holds messages of QoS 1 back long before; further ones of QoS 0 are refused."""
# a job may wait for the disk; it is finished, but not waited for
JOIN_S = 0.3

Job = Callable[[], None]


class CommandWorker(Closing):
    """Does jobs in a thread of its own; for a command it puts the response into the outbox."""

    def __init__(self, commands: Commands, role: str, topics: Topics, outbox: Outbox) -> None:
        self._commands = commands
        self._role = role
        self._topics = topics
        self._outbox = outbox
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Start no more jobs; waits a little for the present one."""
        self._closed.set()
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    def do(self, job: Job) -> None:
        """Queue a job; if it fails that is logged, and the next one is done."""
        self._jobs.put(job)

    def command(self, name: str, message: Incoming, dealt_with: Job) -> None:
        """Queue a command; one that is invalid is answered at once."""
        try:
            # a retained "teach" would be carried out at each start
            if message.retained:
                raise CommandError(
                    "retained", "a command must not be retained: it would be delivered again with every connection"
                )
            if message.response_topic is not None and not self._topics.allows_response(message.response_topic):
                raise CommandError(
                    "response_topic",
                    f"the response topic must lie below {self._topics.own('')} and must not be a topic of a device, "
                    f"expected for example {self._topics.own('response/me')}",
                )
            parsed = parse(name, message.payload, self._role)
            if self._jobs.qsize() >= MAX_WAITING:
                raise CommandError("busy", f"{MAX_WAITING} jobs wait already: try again later", parsed.request)
        except CommandError as error:
            self._fail(name, message, error, error.request)
            dealt_with()
            return

        def job() -> None:
            try:
                values = self._commands.carry_out(parsed)
            except EdgeAppError as error:
                self._fail(name, message, error, parsed.request)
            except Exception:
                internal = CommandError("internal", "a mistake in the program; the device's log has the details")
                self._fail(name, message, internal, parsed.request)
                # after the answer: _run logs the traceback
                raise
            else:
                response = {"command": name, "request": parsed.request, "ok": True, **values}
                self._respond(message.response_topic or self._topics.own("response"), response, message)
            finally:
                dealt_with()

        self._jobs.put(job)

    def _fail(self, name: str, message: Incoming, error: EdgeAppError, request: str | None) -> None:
        details = {"code": code_of(error), "message": str(error)}
        response = {"command": name[:64], "request": request, "ok": False, "error": details}
        self._respond(self._topics.own("error"), response, message)
        # a forbidden topic is the error that is reported here: nothing may be sent to it
        if message.response_topic is not None and self._topics.allows_response(message.response_topic):
            self._respond(message.response_topic, response, message)

    def _respond(self, topic: str, values: dict[str, Any], message: Incoming) -> None:
        if not self._outbox.crowded:  # a flood of commands must not displace events
            self._outbox.event(topic, to_json(values), message.correlation)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closed.is_set():
            try:
                job()
            except Exception:
                logging.getLogger(__name__).exception("a job of the MQTT worker failed")
