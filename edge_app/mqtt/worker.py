"""The thread that carries out what comes from the broker, one thing after the other, and answers."""

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

WAITING = 32
"""Jobs that may wait. Messages of QoS 1 are held back by the broker long before; those of QoS 0 are refused."""
JOIN_S = 0.3

Job = Callable[[], None]


class CommandWorker(Closing):
    """Does jobs in a thread of its own; commands among them, whose answers go into the outbox."""

    def __init__(self, commands: Commands, role: str, topics: Topics, outbox: Outbox) -> None:
        self._commands = commands
        self._role = role
        self._topics = topics
        self._outbox = outbox
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-clerk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more; waits a little for what is being done."""
        self._over.set()
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    def do(self, job: Job) -> None:
        """Do a job when its turn comes; a job that fails is logged, and the next one is done."""
        self._jobs.put(job)

    def command(self, name: str, message: Incoming, dealt_with: Job) -> None:
        """Carry a command out when its turn comes, and answer; what is not right is answered at once."""
        try:
            if message.retained:
                raise CommandError(
                    "retained", "a command must not be retained: it would come again with every connection"
                )
            if message.response_topic is not None and not self._topics.allows_response(message.response_topic):
                raise CommandError("response_topic", f"the response topic must begin with {self._topics.base}/")
            parsed = parse(name, message.payload, self._role)
            if self._jobs.qsize() >= WAITING:
                raise CommandError("busy", f"{WAITING} things wait already: try again later", parsed.request)
        except CommandError as refusal:
            self._fail(name, message, refusal, refusal.request)
            dealt_with()
            return

        def work() -> None:
            try:
                values = self._commands.carry_out(parsed)
            except EdgeAppError as error:
                self._fail(name, message, error, parsed.request)
            except Exception:
                self._fail(
                    name, message, CommandError("internal", "it failed; the device's log says why"), parsed.request
                )
                raise
            else:
                answer = {"command": name, "request": parsed.request, "ok": True, **values}
                self._answer(message.response_topic or self._topics.own("response"), answer, message)
            finally:
                dealt_with()

        self._jobs.put(work)

    def _fail(self, name: str, message: Incoming, error: EdgeAppError, request: str | None) -> None:
        told = {"code": code_of(error), "message": str(error)}
        answer = {"command": name[:64], "request": request, "ok": False, "error": told}
        self._answer(self._topics.own("error"), answer, message)
        if message.response_topic is not None and self._topics.allows_response(message.response_topic):
            self._answer(message.response_topic, answer, message)

    def _answer(self, topic: str, values: dict[str, Any], message: Incoming) -> None:
        if not self._outbox.crowded:  # whoever floods us with commands gets no answers at the cost of events
            self._outbox.event(topic, to_json(values), message.correlation)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._over.is_set():
            try:
                job()
            except Exception:
                logging.getLogger(__name__).exception("something that came over MQTT failed")
