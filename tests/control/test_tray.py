"""The tray keeps a few uncertain and changed decisions, with their pictures."""

import pytest

from edge_app.control import NotInTray
from edge_app.control.pictures import Pictures
from edge_app.control.tray import KEPT, Tray
from edge_app.devices.ports import NS_PER_S
from edge_app.encoder.preprocess import Preprocessor
from edge_app.pipeline.recent import RecentFrames
from edge_app.simulation.devices import SimulatedClock
from support.pipeline_parts import SIDE, decided, decision, frame, make_preprocess


class Rig:
    def __init__(self, start_ns: int = NS_PER_S) -> None:
        self.clock, self.recent = SimulatedClock(start_ns), RecentFrames()
        pictures = Pictures(
            self.recent, lambda image, side: Preprocessor(SIDE)(image), make_preprocess(), self.clock, max_fps=10
        )
        self.tray = Tray(pictures)
        self.sequence = 0
        self.wall_ns = 1_800_000_000 * NS_PER_S

    def decide(self, label: str | None, confidence: float, *, changed: bool = False, after_s: float = 1.1) -> bool:
        self.clock.advance(after_s)
        self.wall_ns += round(after_s * NS_PER_S)
        self.sequence += 1
        now_ns = self.clock.monotonic_ns()
        self.recent.add(frame("red", now_ns / NS_PER_S, self.sequence))
        fields = {"confidence": confidence, "time_ns": self.wall_ns, "changed": changed}
        event = decided(label, self.sequence, decision=decision(label, ("a",)), **fields)
        return self.tray.consider(event) is not None


def test_unsure_and_changed_decisions_are_kept_with_their_picture() -> None:
    rig = Rig()
    assert not rig.decide("a", 0.9)
    assert rig.decide("a", 0.3)
    assert rig.decide(None, 0.0, changed=True)
    assert not rig.decide(None, 0.0)
    entries = rig.tray.decisions()
    assert [(entry.id, entry.label, entry.why) for entry in entries] == [
        (2, None, "changed"),
        (1, "a", "uncertain"),
    ]
    assert [shown.sequence for shown in rig.tray.frames([1, 2])] == [2, 3]
    assert rig.tray.dismiss([1, 1, 7]) == 1
    with pytest.raises(NotInTray, match="decision 1 is not in the tray"):
        rig.tray.frames([1])


def test_a_doubtful_scene_does_not_fill_it() -> None:
    rig = Rig()
    kept = [rig.decide("a", 0.3, after_s=0.1) for _ in range(100)]
    assert sum(kept) == 2
    assert rig.decide("b", 0.3, after_s=1.1)
    assert not rig.decide("c", 0.3, after_s=0.5)


def test_it_is_bounded() -> None:
    rig = Rig()
    for number in range(3 * KEPT):
        assert rig.decide(f"class {number}", 0.3)
    assert len(rig.tray.decisions()) == KEPT
    assert rig.tray.decisions()[0].id == 3 * KEPT


@pytest.mark.parametrize("years", [-6, 6])
def test_a_wall_clock_that_is_set_back_or_forward_changes_only_the_time_shown(years: int) -> None:
    rig = Rig()
    assert rig.decide("a", 0.3)
    rig.wall_ns += years * 365 * 86_400 * NS_PER_S
    assert not rig.decide("b", 0.3, after_s=0.5), "too soon after the last"
    assert not rig.decide("a", 0.3, after_s=2.0), "too soon after its like"
    assert rig.decide("b", 0.3, after_s=0.1)
    assert rig.decide("a", 0.3, after_s=3.0)
    assert [entry.time_ns for entry in rig.tray.decisions()][:2] == [rig.wall_ns, rig.wall_ns - 3 * NS_PER_S]


def test_the_first_decision_after_the_machine_s_start_is_kept() -> None:
    """The monotonic clock is near zero then."""
    rig = Rig(start_ns=0)
    assert rig.decide("a", 0.3, after_s=0.1)
