"""The rules of several places: each place has an engine, a rule without a place is about all of them."""

from typing import Any

import pytest

from edge_app.config import RuleConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.history.visits import VisitTracker
from edge_app.rules.engine import CallWebhook, Fired, Level
from edge_app.rules.engines import RuleEngines
from support.pipeline_parts import decided

ANYWHERE = RuleConfig(name="any", label="cat", output="lamp")
AT_GATE = RuleConfig(name="gate", label="cat", place="gate", webhook="hub")
NOWHERE = RuleConfig(name="nowhere", label="cat", place="moon", webhook="hub")


class Stage:
    """Ten decisions a second in each place."""

    def __init__(self, *rules: RuleConfig, places: tuple[str, ...] = ("gate", "shelf"), **options: Any) -> None:
        trackers = {place: VisitTracker(place, gap_ns=3 * NS_PER_S) for place in places}
        self.engines = RuleEngines(rules, trackers, lambda place, rule: rule.label, **options)
        self.tick = 0
        self.actions: list[Any] = []

    def show(self, seconds: float, **labels: str | None) -> "Stage":
        for _ in range(round(10 * seconds)):
            self.tick += 1
            for place, label in labels.items():
                at_ns = self.tick * NS_PER_S // 10
                event = decided(label, self.tick, captured_ns=at_ns, time_ns=at_ns, place=place)
                self.actions += self.engines.see(event)
        return self

    def of(self, kind: type) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]


def test_a_rule_is_about_its_place_and_one_without_about_all() -> None:
    stage = Stage(ANYWHERE, AT_GATE).show(1, gate=None, shelf="cat").show(1, gate="cat", shelf=None)
    assert [(one.firing.rule, one.firing.place) for one in stage.of(Fired)] == [
        ("any", "shelf"),
        ("any", "gate"),
        ("gate", "gate"),
    ]
    assert [one.firing.place for one in stage.of(CallWebhook)] == ["gate"]


def test_an_output_is_held_for_each_place_by_itself() -> None:
    stage = (
        Stage(ANYWHERE).show(1, gate="cat", shelf="cat").show(1, gate=None, shelf="cat").show(1, gate=None, shelf=None)
    )
    assert [(one.rule, one.on) for one in stage.of(Level)] == [
        ("any in gate", True),
        ("any in shelf", True),
        ("any in gate", False),
        ("any in shelf", False),
    ]


def test_a_report_says_how_it_is_in_each_place() -> None:
    stage = Stage(ANYWHERE, AT_GATE, NOWHERE).show(1, gate=None, shelf="cat")
    anywhere, gate, nowhere = stage.engines.reports()
    assert (anywhere.fired, anywhere.holding) == (1, True)
    assert anywhere.reason == "gate: cat is not in view; shelf: it has fired"
    assert (gate.fired, gate.reason) == (0, "cat is not in view")
    assert nowhere.reason == "it is for the place 'moon', and this is 'gate'"


def test_a_switch_and_a_test_are_for_the_rule_in_all_its_places() -> None:
    stage = Stage(ANYWHERE, AT_GATE).show(1, gate="cat", shelf="cat")
    assert [one.rule for one in stage.engines.switch("any", False)] == ["any in gate", "any in shelf"]
    assert not stage.engines.reports()[0].enabled
    tested = stage.engines.test("gate", 0, 0)
    assert [action.firing.place for action in tested if isinstance(action, Fired)] == ["gate"]
    with pytest.raises(InputError, match="no rule 'x'; known rules: any, gate"):
        stage.engines.switch("x", True)


def test_the_only_place_may_have_any_name_in_its_events() -> None:
    stage = Stage(ANYWHERE, places=("front / door",)).show(1, camera="cat")
    assert [(one.rule, one.on) for one in stage.of(Level)] == [("any", True)]


def test_time_passes_in_all_places() -> None:
    stage = Stage(ANYWHERE).show(1, gate="cat", shelf="cat")
    assert stage.engines.watching
    later_ns = (stage.tick + 100) * NS_PER_S // 10
    assert {one.rule for one in stage.engines.tick(later_ns, later_ns)} == {"any in gate", "any in shelf"}
    assert not stage.engines.watching
