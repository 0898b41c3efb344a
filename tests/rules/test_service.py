"""The rules of a device with their parts: decisions in, lines switched, files and receivers reached."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_app.config import Config, OutputsConfig, RuleConfig, WebhookConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import InputError
from edge_app.messages import Frame
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.opening import WatchedPlace, open_rules
from edge_app.rules.service import Rules
from edge_app.simulation.devices import SimulatedClock, SimulatedOutputs
from edge_app.storage.records import Action, ExampleChange
from support.configs import quiet_config
from support.pipeline_parts import Reports, decided
from support.receiver import WebhookReceiver

MS = 1_000_000


class House:
    """Rules on the simulated clock, stepped by the test."""

    def __init__(self, folder: Path, config: Config, clock: Clock | None = None) -> None:
        self.clock, self.reports, self.recent = clock or SimulatedClock(), Reports(), RecentFrames()
        self.pictures: list[tuple[int, int]] = []
        places = {"camera": WatchedPlace(self.recent, ClassReferences())}
        rules = open_rules(config, folder, places, self._jpeg, self.clock, self.reports)
        assert rules is not None
        self.rules: Rules = rules
        self.sequence = 0

    def _jpeg(self, frame: Frame, side: int) -> bytes:
        self.pictures.append((frame.sequence, side))
        return b"jpeg"

    @property
    def lines(self) -> SimulatedOutputs:
        assert isinstance(self.rules._outputs, SimulatedOutputs)
        return self.rules._outputs

    def show(self, label: str | None, seconds: float) -> None:
        """Ten decisions a second, each taken in at once, and the switching that falls between them."""
        for _ in range(round(seconds * 10)):
            now_ns = self.clock.monotonic_ns()
            self.recent.add(Frame(np.zeros((8, 8, 3), np.uint8), now_ns, self.sequence))
            self.rules.happened(decided(label, self.sequence, captured_ns=now_ns, time_ns=now_ns))
            self.sequence += 1
            self.wait(0.1)

    def wait(self, seconds: float) -> None:
        end_ns = self.clock.monotonic_ns() + round(seconds * NS_PER_S)
        while True:
            wait_s = self.rules.step()
            left_s = (end_ns - self.clock.monotonic_ns()) / NS_PER_S
            if wait_s is None or wait_s >= left_s:
                self.clock.sleep(left_s)
                return
            self.clock.sleep(wait_s)

    @property
    def switched(self) -> list[tuple[float, str, bool]]:
        start_ns = SimulatedClock().monotonic_ns()
        return [((time_ns - start_ns) / NS_PER_S, name, on) for time_ns, name, on in self.lines.switched]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    with ExitStack() as stack:

        def make(*rules: RuleConfig, webhooks: tuple[WebhookConfig, ...] = (), **outputs: Any) -> House:
            config = quiet_config(
                rules=rules, webhooks=webhooks, outputs=OutputsConfig(**{"uri": "sim:door,lamp"} | outputs)
            )
            found = House(tmp_path, config)
            stack.callback(found.rules.close)
            return found

        yield make


DOOR = RuleConfig(name="door", label="cat", output="door", pulse_ms=300)
LAMP = RuleConfig(name="lamp", label="cat", output="lamp")


def test_a_taught_pattern_makes_a_pulse_and_a_flicker_none(house: Callable[..., House]) -> None:
    found = house(DOOR)
    for _ in range(20):
        found.show("cat", 0.3)
        found.show(None, 0.2)
    assert found.switched == []
    found.show("cat", 2)
    assert found.switched == [(10.5, "door", True), (10.8, "door", False)]


def test_a_level_lasts_as_long_as_the_visit_and_ends_without_pictures(house: Callable[..., House]) -> None:
    found = house(LAMP)
    found.show("cat", 2)
    found.show("dog", 2)
    assert found.switched == [(0.5, "lamp", True), (2.4, "lamp", False)]
    found.show("cat", 2)
    found.wait(20)
    assert found.lines.levels == {"door": False, "lamp": False}


def test_levels_of_start_and_stop(house: Callable[..., House]) -> None:
    found = house(LAMP, on_at_start=["door"], on_at_stop=["lamp"])
    found.wait(10)
    assert found.lines.levels == {"door": True, "lamp": False}, "until the first decision"
    found.show("dog", 0.1)
    assert found.rules.levels() == {"door": False, "lamp": False}
    lines = found.lines
    found.rules.close()
    found.rules.close()
    assert lines.levels == {"door": False, "lamp": True}
    assert lines.closed


def test_lines_that_fail_are_told_once_and_set_when_they_are_well(house: Callable[..., House]) -> None:
    found = house(LAMP)
    found.lines.broken = True
    found.show("cat", 2)
    assert [one for one in found.reports.events if one != "rule_fired"] == ["outputs_failed"]
    found.lines.broken = False
    found.show("cat", 0.1)
    assert found.rules.levels()["lamp"]


def test_a_rule_is_switched_off_and_stays_so(house: Callable[..., House], tmp_path: Path) -> None:
    found = house(LAMP)
    found.show("cat", 1)
    found.rules.switch("lamp", False)
    found.show("cat", 1)
    assert found.switched == [(0.5, "lamp", True), (1.0, "lamp", False)]
    found.rules.close()
    again = house(LAMP)
    assert [one.enabled for one in again.rules.reports()] == [False]
    with pytest.raises(InputError, match="no rule 'window'; known rules: lamp"):
        again.rules.switch("window", True)


def test_a_test_switches_the_line_and_is_marked(house: Callable[..., House], tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    found = house(replace(DOOR, file=str(path), enabled=False))
    found.rules.test("door")
    found.wait(1)
    assert [(name, on) for _, name, on in found.switched] == [("door", True), ("door", False)]
    found.rules.close()
    assert [json.loads(line)["test"] for line in path.read_text().splitlines()] == [True]


def test_a_firing_is_a_line_of_a_file_and_a_message(house: Callable[..., House], tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    # the topic needs [mqtt], which the composition brings
    found = house(RuleConfig(name="log", label="*", file=str(path)))
    published: list[tuple[str, bytes]] = []
    found.rules.publish = lambda topic, payload: published.append((topic, payload))
    found.show("cat", 1)
    found.show(None, 1)
    found.rules.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["rule"], row["label"], row["test"]) for row in rows] == [("log", "cat", False), ("log", None, False)]
    assert len({row["id"] for row in rows}) == 2
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere/log", "No such file"), ("pipe", "No such device"), ("", "Is a")]
)
def test_a_file_that_cannot_be_written_is_told_once(
    house: Callable[..., House], tmp_path: Path, name: str, reason: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = house(RuleConfig(name="log", label="*", file=str(tmp_path / name)))
    for label in ("cat", "dog", "cat"):
        found.show(label, 1)
        found.rules._deliveries.step()
    assert [one for one in found.reports.events if one != "rule_fired"] == ["delivery_failed"]
    assert f"a line cannot be appended: {reason}" in str(found.reports.last("delivery_failed")["reason"])


def test_a_webhook_gets_the_frame_that_was_decided_on(house: Callable[..., House]) -> None:
    with WebhookReceiver() as receiver:
        hub = WebhookConfig(name="hub", url=receiver.url(), picture=True, picture_side=320, allow_private=True)
        found = house(RuleConfig(name="r", label="cat", webhook="hub"), webhooks=(hub,))
        found.rules._deliveries.start()
        found.show("cat", 1)
        receiver.wait_for(lambda got: len(got) == 1)
        assert found.pictures == [(5, 320)]
        data = json.loads(receiver.received[0].body)["data"]
        assert (data["frame"], data["picture"]) == (5, "anBlZw==")
        assert receiver.received[0].headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        found.rules.close()


def test_what_a_receiver_did_not_get_is_sent_after_the_next_start(house: Callable[..., House]) -> None:
    rule = RuleConfig(name="r", label="cat", webhook="hub")
    away = WebhookConfig(name="hub", url="http://127.0.0.1:1/", allow_private=True)
    found = house(rule, webhooks=(away,))
    found.show("cat", 1)
    found.rules.close()
    with WebhookReceiver() as receiver:
        again = house(rule, webhooks=(replace(away, url=receiver.url()),))
        again.rules._deliveries.start()
        receiver.wait_for(lambda got: len(got) == 1)
        assert json.loads(receiver.received[0].body)["data"]["label"] == "cat"
        again.rules.close()


def test_a_full_disk_delays_messages_and_loses_none(house: Callable[..., House]) -> None:
    hub = WebhookConfig(name="hub", url="http://127.0.0.1:1/", allow_private=True)
    found = house(RuleConfig(name="r", label="cat", webhook="hub"), webhooks=(hub,))
    deliveries = found.rules._deliveries
    assert deliveries._queue is not None
    deliveries._queue._database.execute("PRAGMA query_only = 1")
    found.show("cat", 1)
    assert deliveries.step() == 5.0
    assert deliveries.step() == 5.0
    deliveries._queue._database.execute("PRAGMA query_only = 0")
    assert deliveries.step() is None
    assert deliveries._queue.waiting("hub") == 1
    assert found.reports.events == ["rule_fired", "delivery_failed", "delivery_well"]


def test_a_disk_that_cannot_be_written_at_the_start_does_not_keep_the_device_away(
    house: Callable[..., House], tmp_path: Path
) -> None:
    (tmp_path / "webhooks.sqlite").mkdir()
    with WebhookReceiver() as receiver:
        hub = WebhookConfig(name="hub", url=receiver.url(), allow_private=True)
        found = house(RuleConfig(name="r", label="cat", webhook="hub"), webhooks=(hub,))
        assert "kept in memory" in str(found.reports.last("delivery_failed")["reason"])
        found.rules._deliveries.start()
        found.show("cat", 1)
        receiver.wait_for(lambda got: len(got) == 1)
        found.rules.close()


def test_a_rule_for_unknown_does_not_follow_a_class_of_that_name(tmp_path: Path) -> None:
    references = ClassReferences()
    rules = (RuleConfig(name="a", label="unknown", file="/f"), RuleConfig(name="b", label="cat", file="/f"))
    places = {"camera": WatchedPlace(RecentFrames(), references)}
    found = open_rules(quiet_config(rules=rules), tmp_path, places, lambda *_: b"", SimulatedClock(), Reports())
    assert found is not None
    for before, after in (("unknown", "dog"), ("cat", "Tom")):
        action = Action(1, 1, "rename", (ExampleChange(1, before, after),))
        found.reports()
        references.follow(action, undone=False)
    assert [one.label for one in found.reports()] == ["unknown", "Tom"]
    found.close()


def test_nothing_waits_for_a_receiver_that_hangs(house: Callable[..., House]) -> None:
    with WebhookReceiver() as receiver:
        receiver.hold = threading.Event()
        hub = WebhookConfig(name="hub", url=receiver.url(), allow_private=True)
        found = house(replace(DOOR, webhook="hub"), webhooks=(hub,))
        found.rules._deliveries.start()
        for _ in range(5):
            found.show("cat", 1)
            found.show("dog", 1)
        receiver.wait_for(lambda got: len(got) == 1)
        assert len([on for _, _, on in found.switched if on]) == 5
        found.rules.close()
        receiver.hold.set()
    deliveries = found.rules._deliveries
    for sender in deliveries._senders.values():
        sender._thread.join(30)
    assert deliveries._queue is not None
    deliveries._queue.close()  # left open for the sender, which was using it


def test_without_rules_and_outputs_there_is_nothing(tmp_path: Path) -> None:
    parts = ({"camera": WatchedPlace(RecentFrames(), ClassReferences())}, lambda *_: b"", SimulatedClock(), Reports())
    assert open_rules(Config(), tmp_path, *parts) is None  # type: ignore[arg-type]


def test_the_thread_switches_lines_and_a_mistake_leaves_none_on(tmp_path: Path) -> None:
    config = quiet_config(rules=(LAMP,), outputs=OutputsConfig(uri="sim:door,lamp"))
    found = House(tmp_path, config, MonotonicClock())
    done = threading.Event()
    switch = found.lines.set

    def set_(levels: Any) -> None:
        switch(levels)
        done.set()

    found.lines.set = set_  # type: ignore[method-assign]
    found.rules.start()
    first_ns = found.clock.monotonic_ns() - 600 * MS
    for sequence in range(7):
        found.rules.happened(decided("cat", sequence, captured_ns=first_ns + sequence * 100 * MS))
    assert done.wait(10)
    assert found.lines.levels["lamp"]
    found.rules._engine.see = None  # type: ignore[assignment, method-assign]
    found.rules.happened(decided("cat", 8, captured_ns=found.clock.monotonic_ns()))
    found.reports.wait_for(lambda events: "rules_failed" in events)
    found.rules._thread.join(10)
    assert not found.lines.levels["lamp"]
    found.rules.close()
