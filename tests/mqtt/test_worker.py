"""The worker carries out commands one after the other; without a broker."""

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from edge_app.errors import StateNotWritable
from edge_app.mqtt import worker as module
from edge_app.mqtt.commands import ParsedCommand
from edge_app.mqtt.connection import Incoming
from edge_app.mqtt.outbox import Outbox
from edge_app.mqtt.topics import Topics
from edge_app.mqtt.worker import CommandWorker


class Desk:
    """A worker whose commands do what the test chooses."""

    def __init__(self, bound: int = 1000) -> None:
        self.outbox = Outbox(bound)
        self.result: dict[str, Any] | Exception = {"example": 1}
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Event()
        self.done = threading.Semaphore(0)
        self.asked: list[ParsedCommand] = []
        self.worker = CommandWorker(self, "administer", Topics("b", "d"), self.outbox)  # type: ignore[arg-type]
        self.worker.start()

    def carry_out(self, command: ParsedCommand) -> dict[str, Any]:
        self.entered.set()
        assert self.hold.wait(30)
        self.asked.append(command)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def send(self, name: str, payload: bytes = b"{}", **how: Any) -> None:
        self.worker.command(name, Incoming("t", payload, how.pop("retained", False), **how), self.done.release)

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.done.acquire(timeout=30)

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        while (message := self.outbox.take()) is not None:
            found.append((message.topic, json.loads(message.payload)))
            self.outbox.done(message.number)
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.hold.set()
    desk.worker.close()


def test_an_answer_follows_the_deed_and_then_the_message_is_dealt_with(desk: Desk) -> None:
    desk.send("teach", b'{"label": "cup", "request": "r"}')
    desk.wait(1)
    assert desk.asked == [("teach", {"label": "cup"}, "r")]
    assert desk.answers() == [("b/d/response", {"command": "teach", "request": "r", "ok": True, "example": 1})]


def test_a_refusal_of_the_device_is_told_with_its_reason(desk: Desk) -> None:
    desk.result = StateNotWritable("the disk is full")
    desk.send("undo", b'{"request": "r"}')
    desk.wait(1)
    error = {"code": "not_writable", "message": "the disk is full"}
    assert desk.answers() == [("b/d/error", {"command": "undo", "request": "r", "ok": False, "error": error})]


def test_a_mistake_of_ours_is_logged_answered_and_does_not_end_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    desk.result = ZeroDivisionError("division by zero")
    desk.send("undo")
    desk.wait(1)
    desk.result = {"example": 2}
    desk.send("teach", b'{"label": "cup"}')
    desk.wait(1)
    (_, first), (_, second) = desk.answers()
    assert (first["error"]["code"], second["ok"]) == ("internal", True)
    desk.worker.close()
    assert "ZeroDivisionError" in caplog.text


def test_too_many_are_refused_at_once(desk: Desk) -> None:
    desk.hold.clear()
    desk.send("undo")
    assert desk.entered.wait(30)
    for number in range(module.MAX_WAITING + 2):
        desk.send("undo", json.dumps({"request": str(number)}).encode())
    desk.wait(2)  # one is being done, MAX_WAITING wait
    desk.hold.set()
    desk.wait(module.MAX_WAITING + 1)
    refused = [answer["request"] for _, answer in desk.answers() if not answer["ok"]]
    assert refused == [str(module.MAX_WAITING), str(module.MAX_WAITING + 1)]


def test_answers_give_way_to_events() -> None:
    desk = Desk(bound=10)
    for _ in range(6):
        desk.outbox.event("b/d/event", b"{}")
    desk.send("fly")
    desk.wait(1)
    assert [topic for topic, _ in desk.answers()] == ["b/d/event"] * 6
    desk.send("fly")
    assert [topic for topic, _ in desk.answers()] == ["b/d/error"]
    desk.worker.close()


def test_after_the_end_nothing_is_begun(desk: Desk) -> None:
    desk.hold.clear()
    desk.send("undo")
    assert desk.entered.wait(30)
    desk.send("undo")
    closing = threading.Thread(target=desk.worker.close)
    closing.start()
    closing.join(30)
    desk.hold.set()
    desk.wait(1)
    desk.worker._thread.join(30)
    assert len(desk.asked) == 1
