"""Rules over the API: seen, switched and tested by an administrator alone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.config import Config, OutputsConfig, RuleConfig, WebhookConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.opening import WatchedPlace, open_rules
from edge_app.rules.queue import MessageQueue
from support.pipeline_parts import Reports
from support.served import Served, api

CONFIG = Config(
    outputs=OutputsConfig(uri="sim:door"),
    rules=(
        RuleConfig(name="let the cat in", label="cat", output="door", pulse_ms=200),
        RuleConfig(name="tell", webhook="hub", enabled=False),
    ),
    webhooks=(WebhookConfig(name="hub", url="http://127.0.0.1:1/", allow_private=True),),
)


@pytest.fixture
def with_rules(served: Served, tmp_path: Path) -> Iterator[Served]:
    rules = open_rules(
        CONFIG,
        tmp_path,
        {"camera": WatchedPlace(served.device.place.recent, ClassReferences())},
        lambda *_: b"",
        MonotonicClock(),
        Reports(),
    )
    assert rules is not None
    served.control.rules = rules
    yield served
    rules.close()


def test_without_rules_there_are_none(served: Served) -> None:
    assert served.http.get(api("/rules")).json() == {"rules": [], "outputs": [], "webhooks": []}
    answer = served.http.post(api("/rules/test"), json={"rule": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_rule")


def test_rules_are_listed_with_outputs_and_webhooks(with_rules: Served) -> None:
    found = with_rules.http.get(api("/rules")).json()
    assert found["rules"][0] == {
        "name": "let the cat in",
        "sentence": 'When "cat" comes into view: switch "door" on for 200 ms; at most 60 times an hour.',
        "label": "cat",
        "enabled": True,
        "holding": False,
        "fired": 0,
        "last_fired_ms": None,
        "reason": "no decision was made yet",
    }
    assert found["outputs"] == [{"name": "door", "on": False}]
    assert found["webhooks"] == [{"name": "hub", "waiting": 0, "delivered": 0, "given_up": 0, "failure": ""}]


def test_a_rule_is_switched_and_kept(with_rules: Served, tmp_path: Path) -> None:
    answer = with_rules.http.put(api("/rules"), json={"rule": "let the cat in", "enabled": False})
    assert [one["enabled"] for one in answer.json()["rules"]] == [False, False]
    assert json.loads((tmp_path / "rules.json").read_text()) == {"switched": {"let the cat in": [False, True]}}
    answer = with_rules.http.put(api("/rules"), json={"rule": "window", "enabled": False})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "no rule 'window'; known rules: let the cat in, tell"


def test_a_rule_is_tested(with_rules: Served, tmp_path: Path) -> None:
    rules = with_rules.control.rules
    assert rules is not None
    rules.start()
    answer = with_rules.http.post(api("/rules/test"), json={"rule": "let the cat in"})
    assert answer.json()["rules"][0]["fired"] == 0, "a test is no firing"
    assert with_rules.http.post(api("/rules/test"), json={"rule": "tell"}).status_code == 200
    rules.close()  # hands over what waits
    with MessageQueue(tmp_path, {"hub": 10}) as queue:
        found = queue.next("hub")
        assert found is not None
        assert json.loads(found[1].body)["data"]["test"] is True


@pytest.mark.parametrize("role", ["view", "teach"])
def test_only_an_administrator_may(serve: Callable[..., Served], role: str) -> None:
    served = serve(loopback_role=role)
    assert served.http.get(api("/rules")).status_code == 403
    assert served.http.put(api("/rules"), json={"rule": "x", "enabled": True}).status_code == 403
    assert served.http.post(api("/rules/test"), json={"rule": "x"}).status_code == 403
