"""Rules on the simulated time of decisions: what fires when, and what a rule says of itself when it does not."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from edge_app.config import RuleConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.history.visits import VisitTracker
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.engine import Append, CallWebhook, Fired, Level, Publish, Pulse, RuleAction, RuleEngine
from edge_app.storage.records import Action, ExampleChange
from support.pipeline_parts import decided

FPS = 10
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF = 0.5
"""Time that a label has to hold to be in view."""


def rule(name: str = "r", **keys: Any) -> RuleConfig:
    return RuleConfig(**{"name": name, "label": "cat", "webhook": "hub"} | keys)


class Stage:
    """Shows labels to an engine at ten decisions a second, from Monday noon on; collects (second, action)."""

    def __init__(self, *rules: RuleConfig, place: str = "hall", start: datetime = MONDAY, **options: Any) -> None:
        numbers = count(1)
        tracker = VisitTracker(place, gap_ns=3 * NS_PER_S)
        self.engine = RuleEngine(
            rules,
            tracker,
            new_id=lambda: f"id{next(numbers)}",
            local=lambda ns: datetime.fromtimestamp(ns / NS_PER_S, UTC),
            **options,
        )
        self.tick = 0
        self.start_ns = round(start.timestamp()) * NS_PER_S
        self.log: list[tuple[float, RuleAction]] = []

    @property
    def now_ns(self) -> int:
        return self.tick * NS_PER_S // FPS

    def show(self, label: str | None, seconds: float, confidence: float = 0.9) -> "Stage":
        for _ in range(round(seconds * FPS)):
            event = decided(
                label,
                self.tick,
                captured_ns=self.now_ns,
                time_ns=self.start_ns + self.now_ns,
                confidence=0.0 if label is None else confidence,
            )
            self._keep(self.engine.see(event))
            self.tick += 1
        return self

    def wait(self, seconds: float) -> "Stage":
        """Let time pass without decisions."""
        for _ in range(round(seconds * FPS)):
            self._keep(self.engine.tick(self.now_ns, self.start_ns + self.now_ns))
            self.tick += 1
        return self

    def _keep(self, actions: list[RuleAction]) -> None:
        self.log += [(self.now_ns / NS_PER_S, action) for action in actions]

    @property
    def fired(self) -> list[float]:
        """Seconds at which a webhook was called."""
        return [second for second, action in self.log if isinstance(action, CallWebhook)]

    @property
    def levels(self) -> list[tuple[float, bool]]:
        return [(second, action.on) for second, action in self.log if isinstance(action, Level)]

    def why(self, name: str = "r") -> str:
        return next(one.reason for one in self.engine.reports() if one.config.name == name)


def test_entered_fires_once_for_each_visit() -> None:
    stage = Stage(rule())
    assert stage.why() == "no decision was made yet"
    stage.show("dog", 2)
    assert stage.why() == "cat is not in view"
    stage.show("cat", 5)
    assert stage.fired == [2 + HALF]
    assert stage.why() == "it has fired"
    stage.show("dog", 2).show("cat", 3)
    assert stage.fired == [2.5, 9.5]


def test_a_label_that_flickers_fires_nothing() -> None:
    stage = Stage(rule(), rule("any", label="*"), rule("gone", when="left"))
    for _ in range(50):
        stage.show("cat", 0.3).show(None, 0.2)
    assert stage.fired == []


def test_a_visit_that_is_interrupted_for_a_moment_is_one() -> None:
    stage = Stage(rule()).show("cat", 3).show(None, 0.3).show("cat", 3)
    assert stage.fired == [HALF]


def test_the_firing_tells_what_was_seen() -> None:
    stage = Stage(rule()).show("cat", 1, 0.7)
    (_, fired), (_, call) = stage.log
    assert isinstance(call, CallWebhook)
    assert call.webhook == "hub"
    assert fired == Fired(call.firing)
    firing = call.firing
    assert (firing.id, firing.rule, firing.when, firing.label) == ("id1", "r", "entered", "cat")
    assert (firing.place, firing.confidence, firing.lasted_s, firing.frame) == ("hall", 0.7, 0.5, 5)
    assert firing.time == "2026-03-02T12:00:00.500Z"
    assert not firing.test


def test_the_confidence_may_come_later_in_the_visit() -> None:
    stage = Stage(rule(confidence=0.8)).show("cat", 2, 0.6)
    assert stage.fired == []
    assert stage.why() == "the confidence is 0.60, less than 0.8"
    stage.show("cat", 1, 0.85)
    assert stage.fired == [2.0]


def test_held_fires_after_its_time() -> None:
    stage = Stage(rule(when="held", for_s=3)).show("cat", 2)
    assert stage.why() == "cat has been in view for 1.9 s of 3 s"
    stage.show("cat", 4)
    assert stage.fired == [3.0]
    stage.show("dog", 1).show("cat", 2.5)
    assert stage.fired == [3.0], "another visit, too short"


def test_left_fires_at_the_end_of_a_visit() -> None:
    stage = Stage(rule(when="left"))
    stage.show("cat", 2)
    assert stage.why() == "cat has not left yet"
    stage.show("dog", 3)
    assert stage.fired == [2 + HALF - 0.1]
    call = stage.log[1][1]
    assert isinstance(call, CallWebhook)
    assert call.firing.lasted_s == 1.9
    stage.show("cat", 1).show("dog", 1)
    assert len(stage.fired) == 2


def test_left_fires_also_when_the_camera_stops() -> None:
    stage = Stage(rule(when="left")).show("cat", 2).wait(5)
    assert len(stage.fired) == 1


def test_absent_fires_once_until_it_was_there_again() -> None:
    stage = Stage(rule(when="absent", for_s=5)).show("dog", 4)
    assert stage.why() == "cat has been absent for 3.9 s of 5 s"
    stage.show("dog", 10)
    assert stage.fired == [5.0]
    stage.show("cat", 2)
    assert stage.why() == "cat is in view"
    stage.show("dog", 10)
    assert len(stage.fired) == 2
    assert stage.fired[1] == pytest.approx(16 + 5, abs=0.5)


def test_time_without_pictures_is_no_absence() -> None:
    stage = Stage(rule(when="absent", for_s=5)).show("cat", 2).wait(60).show("dog", 4)
    assert stage.fired == []
    stage.show("dog", 2)
    assert len(stage.fired) == 1


def test_any_change_fires_for_each() -> None:
    stage = Stage(rule(label="*")).show("cat", 2).show(None, 2).show("dog", 2).show("dog", 2)
    labels = [action.firing.label for _, action in stage.log if isinstance(action, CallWebhook)]
    assert labels == ["cat", None, "dog"]


def test_unknown_is_a_label_of_its_own() -> None:
    stage = Stage(rule(label="unknown")).show("cat", 2).show(None, 2)
    assert stage.fired == [2 + HALF]


@pytest.mark.parametrize(("place", "times"), [("hall", 1), ("", 1), ("garden", 0)])
def test_a_rule_is_for_a_place(place: str, times: int) -> None:
    stage = Stage(rule(place=place)).show("cat", 2)
    assert len(stage.fired) == times
    if not times:
        assert stage.why() == "it is for the place 'garden', and this is 'hall'"


@pytest.mark.parametrize(
    ("keys", "hour", "day", "fires"),
    [
        ({"hours": "11:00-13:00"}, 12, 2, True),
        ({"hours": "11:00-12:00"}, 12, 2, False),
        ({"hours": "12:00-13:00"}, 12, 2, True),
        ({"hours": "22:00-06:00"}, 23, 2, True),
        ({"hours": "22:00-06:00"}, 5, 2, True),
        ({"hours": "22:00-06:00"}, 6, 2, False),
        ({"hours": "22:00-06:00", "weekdays": ["mon"]}, 23, 2, True),
        ({"hours": "22:00-06:00", "weekdays": ["mon"]}, 3, 3, True),
        ({"hours": "22:00-06:00", "weekdays": ["mon"]}, 3, 2, False),
        ({"weekdays": ["sat", "sun"]}, 12, 2, False),
        ({"weekdays": ["sat", "sun"]}, 12, 7, True),
    ],
)
def test_hours_and_days_bound_a_rule(keys: dict[str, Any], hour: int, day: int, fires: bool) -> None:
    stage = Stage(rule(**keys), start=datetime(2026, 3, day, hour, tzinfo=UTC)).show("cat", 2)
    assert bool(stage.fired) is fires
    if not fires:
        assert stage.why().startswith("it is ")


def test_who_is_there_when_the_hours_begin_counts() -> None:
    late = datetime(2026, 3, 2, 21, 59, 58, tzinfo=UTC)
    stage = Stage(rule(hours="22:00-06:00"), start=late).show("cat", 4)
    assert stage.fired == [2.0]


def test_a_clock_that_is_set_changes_hours_and_no_duration() -> None:
    stage = Stage(rule(when="held", for_s=3, pause_s=10))
    stage.show("cat", 1)
    stage.start_ns -= 86_400 * NS_PER_S
    stage.show("cat", 3)
    assert stage.fired == [3.0]
    stage.start_ns += 2 * 86_400 * NS_PER_S
    stage.show("dog", 1).show("cat", 4)
    assert stage.fired == [3.0]
    assert stage.why() == "held back: it had fired 5.0 s before, and pause_s = 10"


def test_a_firing_within_the_pause_is_dropped_and_not_made_later() -> None:
    stage = Stage(rule(pause_s=10)).show("cat", 2).show("dog", 2).show("cat", 20)
    assert stage.fired == [HALF]
    stage.show("dog", 2).show("cat", 2)
    assert len(stage.fired) == 2


def test_a_rule_fires_so_often_within_an_hour() -> None:
    stage = Stage(rule(per_hour=3))
    for _ in range(5):
        stage.show("cat", 1).show("dog", 1)
    assert len(stage.fired) == 3
    stage.show("cat", 1)
    assert stage.why() == "held back: it had fired 3 times in an hour, as per_hour allows"
    stage.show("dog", 3600).show("cat", 1)
    assert len(stage.fired) == 4


def test_a_level_holds_while_the_condition_does() -> None:
    stage = Stage(rule(webhook="", output="lamp")).show("cat", 5).show("dog", 3)
    assert stage.levels == [(0.5, True), (5.4, False)]


def test_a_level_ends_with_the_hours_and_with_the_pictures() -> None:
    late = datetime(2026, 3, 2, 12, 59, 58, tzinfo=UTC)
    stage = Stage(rule(webhook="", output="lamp", hours="12:00-13:00"), start=late).show("cat", 5)
    assert stage.levels == [(0.5, True), (2.0, False)]
    stage = Stage(rule(webhook="", output="lamp")).show("cat", 1).wait(10)
    assert [on for _, on in stage.levels] == [True, False]
    assert stage.levels[1][0] == pytest.approx(4, abs=0.2)
    assert stage.why() == "the camera delivers no pictures"
    assert not stage.engine.watching


def test_without_pictures_nothing_is_known_to_be_absent() -> None:
    """Also where labels change too fast for any to be in view."""
    stage = Stage(rule(webhook="", output="lamp", when="absent", for_s=2))
    for _ in range(20):
        stage.show("dog", 0.1).show("bird", 0.1)
    assert stage.levels == [(2.0, True)]
    stage.wait(10)
    assert [on for _, on in stage.levels] == [True, False]
    stage.show("dog", 1.9)
    assert len(stage.levels) == 2, "the time begins anew"
    stage.show("dog", 0.2)
    assert len(stage.levels) == 3


def test_a_level_of_absence_ends_when_it_is_back() -> None:
    stage = Stage(rule(webhook="", output="lamp", when="absent", for_s=2)).show("dog", 5).show("cat", 2)
    assert stage.levels == [(2.0, True), (5.5, False)]


def test_all_actions_of_a_rule_are_carried_out_with_one_id() -> None:
    stage = Stage(rule(output="door", pulse_ms=500, file="/f", topic="t")).show("cat", 1)
    actions = [action for _, action in stage.log]
    assert actions[1] == Pulse("door", 500_000_000)
    told = [actions[0], *actions[2:]]
    assert [type(action) for action in told] == [Fired, CallWebhook, Append, Publish]
    assert {action.firing.id for action in told} == {"id1"}  # type: ignore[union-attr]


def test_a_rule_that_is_switched_off_ends_what_it_holds() -> None:
    stage = Stage(rule(webhook="", output="lamp")).show("cat", 2)
    assert stage.engine.switch("r", False) == [Level("lamp", "r", False)]
    stage.show("dog", 1).show("cat", 2)
    assert stage.levels == [(0.5, True)]
    assert stage.why() == "it is switched off"
    stage.engine.switch("r", True)
    stage.show("cat", 0.1)
    assert len(stage.levels) == 2
    assert Stage(rule(), enabled={"r": False}).show("cat", 2).fired == []
    with pytest.raises(InputError, match="no rule 'x'; known rules: r"):
        stage.engine.switch("x", True)


def test_a_test_carries_out_the_actions_and_says_so() -> None:
    stage = Stage(rule(output="lamp", enabled=False), rule("p", output="lamp", pulse_ms=200))
    _, pulse, call = stage.engine.test("r", 5, stage.start_ns)
    assert pulse == Pulse("lamp", NS_PER_S)
    assert isinstance(call, CallWebhook)
    assert call.firing.test
    assert call.firing.label == "cat"
    assert stage.engine.test("p", 5, 6)[1] == Pulse("lamp", 200_000_000)
    assert [one.fired for one in stage.engine.reports()] == [0, 0]
    with pytest.raises(InputError, match="no rule 'x'"):
        stage.engine.test("x", 5, 6)


def test_reports_say_when_and_how_often() -> None:
    stage = Stage(rule(), rule("off", enabled=False)).show("cat", 1).show("dog", 1).show("cat", 1)
    first, second = stage.engine.reports()
    assert (first.fired, first.last_fired_ns) == (2, stage.start_ns + 25 * NS_PER_S // 10)
    assert (second.fired, second.last_fired_ns, second.enabled) == (0, None, False)


def moves(number: int, kind: str, before: str, after: str) -> Action:
    return Action(number, 1, kind, (ExampleChange(1, before, after),))  # type: ignore[arg-type]


def test_a_rule_follows_its_class_when_that_is_renamed() -> None:
    references = ClassReferences()
    stage = Stage(rule(), label_of=lambda one: references.label(f"rule {one.name}", one.label))
    stage.show("cat", 1)
    action = moves(1, "rename", "cat", "Tom")
    references.follow(action, undone=False)
    stage.show("dog", 1).show("Tom", 1)
    assert len(stage.fired) == 2
    assert stage.engine.reports()[0].label == "Tom"
    references.follow(action, undone=True)
    stage.show("dog", 1).show("cat", 1)
    assert len(stage.fired) == 3
