"""Commands over a real broker: permissions, answers, and malformed messages, which change nothing."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.mqtt.commands import MAX_COMMAND, SPECS, CommandError, parse
from support.house import House
from support.mosquitto import Mosquitto, Observer

Ask = Callable[..., dict[str, Any]]
NUMBERS = random.Random(7)


@pytest.fixture
def house(tmp_path: Path, broker: Mosquitto) -> Iterator[House]:
    with House(tmp_path / "state", broker.port, run=True, commands="administer", discovery="") as house:
        yield house


@pytest.fixture
def ask(house: House, observe: Callable[..., Observer]) -> Ask:
    """Sends a command and returns the answer, with the last level of its topic as `to`."""
    seen = observe("edge-app/one/response", "edge-app/one/error")
    house.wait_connected()

    def ask(name: str, payload: object, **how: Any) -> dict[str, Any]:
        known = len(seen.heard)
        content = payload if isinstance(payload, bytes) else json.dumps(payload)
        seen.send(f"edge-app/one/command/{name}", content, **how)
        seen.wait_for(lambda heard: len(heard) > known)
        answer = seen.heard[known]
        return {"to": answer.topic.rpartition("/")[2], **json.loads(answer.payload)}

    return ask


def test_teaching_by_name_by_choice_and_taking_it_back(house: House, ask: Ask) -> None:
    first = ask("teach", {"label": "cup", "request": "r1"})
    assert first | {"frame": 0} == {
        "to": "response",
        "command": "teach",
        "request": "r1",
        "ok": True,
        "example": 1,
        "label": "cup",
        "before": None,
        "frame": 0,
    }
    assert ask("teach", {"label": "cup", "request": "r1"})["example"] == 1, "a retry teaches nothing more"
    assert ask("teach", {})["label"] == "cup", "the only class is the choice"
    assert ask("teach", b"")["label"] == "cup"
    ask("teach", {"label": "key"})
    assert ask("choose", {"label": "key"})["ok"]
    assert ask("teach", {})["label"] == "key"
    undone = ask("undo", {"request": "u1"})
    assert (undone["kind"], undone["examples"]) == ("teach", 1)
    assert ask("undo", {"request": "u1"})["action"] == undone["action"]
    assert house.learner.classes() == {"cup": 3, "key": 1}
    refused = ask("choose", {"label": "spoon"})
    assert (refused["to"], refused["error"]["code"]) == ("error", "unknown_class")


def test_the_frame_that_was_told_can_be_taught(house: House, ask: Ask, observe: Callable[..., Observer]) -> None:
    ask("teach", {"label": "red"})
    seen = observe("edge-app/one/decision")
    frame = json.loads(seen.last("edge-app/one/decision", lambda payload: b'"red"' in payload))["frame"]
    assert ask("teach", {"label": "red", "frame": frame})["frame"] == frame
    gone = ask("teach", {"label": "red", "frame": 10**9})
    assert gone["error"]["code"] == "frame_gone"


def test_an_administrator_s_commands(house: House, ask: Ask) -> None:
    for label in ("cup", "cup", "key", "pen"):
        ask("teach", {"label": label})
    assert ask("relabel", {"examples": [1], "label": "mug"})["kind"] == "relabel"
    assert ask("rename_class", {"label": "key", "to": "small key"})["kind"] == "rename"
    assert ask("merge_classes", {"label": "mug", "into": "cup"})["kind"] == "merge"
    assert ask("forget_examples", {"examples": [2]})["kind"] == "forget"
    assert ask("forget_class", {"label": "pen"})["kind"] == "forget"
    house.learner.wait()
    assert house.learner.classes() == {"cup": 1, "small key": 1}
    assert ask("forget_class", {"label": "pen"})["error"]["code"] == "unknown_class"


@pytest.mark.parametrize(
    ("name", "payload", "code", "message"),
    [
        ("fly", {}, "unknown_command", "no command 'fly'; known: teach, undo"),
        ("teach", b"{", "invalid", "the command is not JSON"),
        ("teach", [], "invalid", "the command is list, expected a JSON object"),
        ("teach", b"\xff\xfe", "invalid", "the command is not JSON"),
        ("teach", {"lable": "x"}, "invalid", "teach has no field 'lable'; known: label, frame, request"),
        ("teach", {"label": 3}, "invalid", "label = 3, expected the name of a class"),
        ("teach", {"label": " x"}, "invalid", "label = ' x', expected the name of a class (class name ' x' has"),
        ("teach", {"label": "x", "frame": -1}, "invalid", "frame = -1, expected a whole number"),
        ("teach", {"label": "x", "frame": True}, "invalid", "frame = True, expected a whole number"),
        ("teach", {"request": ""}, "invalid", "request = '', expected text of 1 to 128 characters"),
        ("teach", {}, "invalid", "teach names no class, and none is chosen"),
        ("relabel", {"examples": [], "label": "x"}, "invalid", "examples = [], expected a list of 1 to 200 numbers"),
        ("relabel", {"label": "x"}, "invalid", "relabel lacks the field 'examples'"),
        ("undo", {}, "invalid", "nothing to undo"),
        ("offers", {"all": 1}, "invalid", "offers has no field 'all'"),
        ("offer", {"label": "x"}, "invalid", "offers are off"),
        ("accept", {"offer": "0"}, "invalid", "offers are off"),
        ("teach", b'{"label": "' + b"x" * MAX_COMMAND + b'"}', "too_large", "expected at most 16384"),
        ("teach", b"[" * 9000, "invalid", "the command is not JSON"),
    ],
)
def test_what_is_not_right_is_answered_on_the_error_topic(
    house: House, ask: Ask, name: str, payload: object, code: str, message: str
) -> None:
    answer = ask(name, payload)
    assert (answer["to"], answer["ok"], answer["error"]["code"]) == ("error", False, code)
    assert message in answer["error"]["message"]
    assert house.learner.classes() == {}


def test_each_answer_goes_where_its_sender_wants_it(house: House, ask: Ask, observe: Callable[..., Observer]) -> None:
    mine = observe("edge-app/one/answers/me", "edge-app/one/error")
    command = "edge-app/one/command/teach"
    where = {"response_topic": "edge-app/one/answers/me", "correlation": b"\x00\x17"}
    mine.send(command, b'{"label": "cup"}', **where)
    answer = json.loads(mine.last("edge-app/one/answers/me"))
    assert answer["ok"]
    assert mine.heard[0].correlation == b"\x00\x17"
    mine.send(command, b"{", **where)
    mine.wait_for(lambda heard: len(heard) == 3)
    assert sorted(one.topic for one in mine.heard[1:]) == ["edge-app/one/answers/me", "edge-app/one/error"]
    assert all(one.correlation == b"\x00\x17" for one in mine.heard)
    mine.send(command, b'{"label": "cup"}', response_topic="house/alarm/set")
    refused = json.loads(mine.last("edge-app/one/error", lambda payload: b"response topic" in payload))
    assert refused["error"]["code"] == "response_topic"
    assert house.learner.classes() == {"cup": 1}


def test_a_retained_command_is_refused(tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]) -> None:
    seen = observe("edge-app/#")
    seen.send("edge-app/one/command/teach", b'{"label": "cup"}', retain=True)
    with House(tmp_path / "state", broker.port, run=True, commands="teach") as house:
        answer = json.loads(seen.last("edge-app/one/error"))
        assert answer["error"]["code"] == "retained"
        assert house.learner.classes() == {}


def test_roles(tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]) -> None:
    seen = observe("edge-app/one/error", "edge-app/one/response", "edge-app/one/health")
    with House(tmp_path / "state", broker.port, run=True, commands="teach") as house:
        house.wait_connected()
        seen.send("edge-app/one/command/teach", b'{"label": "cup"}')
        seen.last("edge-app/one/response")
        for name, spec in SPECS.items():
            if spec.role == "administer":
                known = len(seen.of("edge-app/one/error"))
                seen.send(f"edge-app/one/command/{name}", b"{}")
                seen.wait_for(lambda _, n=known: len(seen.of("edge-app/one/error")) > n)
                assert json.loads(seen.of("edge-app/one/error")[-1])["error"]["code"] == "forbidden"
    with House(tmp_path / "state", broker.port, "one", run=True, commands="none") as house:
        house.wait_connected()
        seen.send("edge-app/one/command/forget_class", b'{"label": "cup"}')
        seen.send("edge-app/one/command/teach", b'{"label": "cup"}')
        house.device.wait_for(lambda events: len(events) > 20)
        assert house.learner.classes() == {"cup": 1}
    assert len(seen.of("edge-app/one/response")) == 1


def test_a_flood_is_refused_and_what_was_taken_is_carried_out(house: House, observe: Callable[..., Observer]) -> None:
    """300 commands at once, of a QoS that the broker does not hold back: each is answered, or its answer is dropped."""
    seen = observe("edge-app/one/response", "edge-app/one/error")
    house.wait_connected()
    for number in range(300):
        seen.send("edge-app/one/command/teach", json.dumps({"label": f"c{number % 5}", "request": f"q{number}"}), qos=0)
    seen.wait_for(lambda heard: len(heard) == 300)
    answers = [json.loads(one.payload) for one in seen.heard]
    assert {answer["request"] for answer in answers} == {f"q{number}" for number in range(300)}
    assert {answer["error"]["code"] for answer in answers if not answer["ok"]} <= {"busy"}
    assert sum(house.learner.classes().values()) == sum(answer["ok"] for answer in answers) >= 32


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["label", "frame", "examples", "to", "into", "offer", "action", "request", "x"])
PAYLOADS = (
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(WORDS, JSON, max_size=5).map(lambda value: json.dumps(value).encode())
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*SPECS, "", "x", "teach "]), PAYLOADS, st.sampled_from(["teach", "administer"]))
def test_whatever_comes_is_a_command_or_a_refusal(name: str, payload: bytes, role: str) -> None:
    try:
        command = parse(name, payload, role)
    except CommandError as error:
        code = error.code
    else:
        code = "invalid"
        assert command.name in SPECS
        assert command.values.keys() <= SPECS[name].fields.keys()
        json.dumps(command.values, ensure_ascii=False).encode()
    assert code in {"invalid", "unknown_command", "forbidden"}


@pytest.mark.slow
def test_whatever_comes_over_the_wire_changes_nothing_and_stops_nothing(
    house: House, observe: Callable[..., Observer]
) -> None:
    """Malformed and oversized messages to every topic that the device listens to."""
    seen = observe("edge-app/one/response")
    house.wait_connected()

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from([*SPECS, "x", "täglich"]),
        st.binary(max_size=100)
        | st.just(b"{" * 20000)
        | st.just(bytes(2 << 20))
        | JSON.map(lambda v: repr(v).encode()),
        st.sampled_from([0, 1, 2]),
        st.booleans(),
    )
    def check(name: str, payload: bytes, qos: int, retain: bool) -> None:
        seen.send(f"edge-app/one/command/{name}", payload, qos=qos, retain=retain)

    check()
    seen.send("edge-app/one/command/offers", b'{"request": "end"}')
    seen.wait_for(lambda heard: heard and b'"end"' in heard[-1].payload)  # so all before it have been dealt with
    assert house.learner.examples() == []
    assert house.learner.history() == []
    assert house.reports.events.count("broker_connected") == 1, "the connection was never lost"
