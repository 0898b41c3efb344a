"""The second and third stage, stepped by hand."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edge_app.config import Config, DecisionConfig, IdleConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.messages import Decision, Frame
from edge_app.pipeline.calibrator import DecisionCalibrator
from edge_app.pipeline.decide import Ballot, Decide, MajorityVote, SharedIndicator
from edge_app.pipeline.encode import Encode, EncodedFrame, Prepare, PreparedFrame
from edge_app.pipeline.events import Decided
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.simulation.devices import SimulatedClock, SimulatedIndicator
from edge_app.storage.records import Action, ExampleChange
from support.configs import quiet_config
from support.pipeline_parts import PatchEncoder, Reports, colour, decision, embedding_of, frame, make_preprocess


class Rig:
    def __init__(
        self,
        config: Config | None = None,
        lights: tuple[str, ...] = (),
        since: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.clock = SimulatedClock()
        self.frames, self.prepared, self.encoded = Latest[Frame](), Latest[PreparedFrame](), Latest[EncodedFrame]()
        self.encoder, self.recent = PatchEncoder(), RecentFrames()
        self.pace = Pace(config or quiet_config(), self.clock, Reports())
        self.stop = threading.Event()
        self.prepare = Prepare(self.frames, self.prepared, make_preprocess(), self.pace, self.clock, self.stop)
        self.encode = Encode(self.prepared, self.encoded, self.encoder, self.recent, self.pace, self.clock, since=since)
        self.events: list[Decided] = []
        self.indicator, self.references = SimulatedIndicator(self.clock, lights), ClassReferences()
        self.novelty = 0
        self.said: list[str | None] = []
        self.decide = Decide(
            self.encoded,
            self,
            SharedIndicator(self.indicator, self.references),
            self.pace,
            self.clock,
            self.events.append,
            DecisionCalibrator(),
            wall=lambda: 77,
            since=since,
        )

    revision = 0
    """Of the classifier."""

    def classify(self, embedding: np.ndarray) -> Decision:
        """Names the strongest colour of the first patch, or the label that a test has set."""
        label = self.said.pop(0) if self.said else ("red", "green", "blue")[int(embedding[:3].argmax())]
        return decision(label)._replace(novelty=self.novelty)

    def show(self, shown: Frame) -> EncodedFrame | None:
        self.frames.put(shown)
        assert self.prepare.step()
        assert self.encode.step()
        return self.encoded.take(0)


def test_a_frame_becomes_the_embedding_of_its_picture() -> None:
    rig = Rig()
    encoded = rig.show(frame("green", 3, 7))
    assert encoded is not None
    assert (encoded.time_ns, encoded.sequence, encoded.fresh) == (3 * NS_PER_S, 7, True)
    assert np.array_equal(encoded.embedding, embedding_of(make_preprocess()(colour("green", 7))))
    assert np.array_equal(rig.recent.embedding(3 * NS_PER_S), encoded.embedding)


def test_the_frame_of_a_decision_is_kept_however_long_the_encoder_takes() -> None:
    rig = Rig()
    rig.recent.add(frame("red", 1, 1))
    encoded = rig.show(frame("red", 1, 1))
    assert encoded is not None
    rig.encoded.put(encoded)
    for number in range(2, 60):
        rig.recent.add(frame("red", number, number))
    assert rig.decide.step()
    kept = rig.recent.numbered(rig.events[-1].sequence)
    assert kept is not None
    assert kept.sequence == 1


def test_a_capped_stage_takes_the_frame_that_is_newest_when_its_turn_comes() -> None:
    rig = Rig(quiet_config(decision=DecisionConfig(max_fps=2)))
    assert rig.show(frame("red", 1, 1)) is not None
    for number in range(2, 6):
        rig.frames.put(frame("red", number, number))
    while (prepared := rig.prepared.take(0)) is None:
        assert rig.prepare.step()
    assert prepared.sequence == 5
    assert rig.clock.monotonic_ns() == round(1.5 * NS_PER_S)
    assert rig.prepare.dropped == 0


def test_a_changed_picture_that_was_displaced_does_not_hide_the_change() -> None:
    rig = Rig(quiet_config(idle=IdleConfig(threshold=3)))
    rig.show(frame("red", 1))
    for number in (1, 2):
        rig.frames.put(frame("blue", 1 + number, number))
        rig.prepare.step()
    assert rig.prepare.dropped == 1
    rig.encode.step()
    encoded = rig.encoded.take(0)
    assert encoded is not None
    assert encoded.fresh
    assert np.array_equal(encoded.embedding, embedding_of(make_preprocess()(colour("blue", 2))))


def test_an_unchanged_picture_is_not_encoded_again_but_still_decided_on() -> None:
    rig = Rig(quiet_config(idle=IdleConfig(threshold=3)))
    shown = [rig.show(frame("red", 1 + n / 10, n)) for n in range(5)] + [rig.show(frame("blue", 2, 9))]
    assert [encoded.fresh for encoded in shown] == [True, False, False, False, False, True]
    assert [encoded.sequence for encoded in shown] == [0, 1, 2, 3, 4, 9]
    assert (rig.encoder.asked, rig.encode.skipped) == (2, 4)
    assert rig.recent.embedding(round(1.2 * NS_PER_S)) is None, "that frame was never encoded"


def test_what_stands_still_is_classified_again_only_after_something_was_learnt() -> None:
    rig = Rig(quiet_config(idle=IdleConfig(threshold=3)))
    rig.said = ["mug", "pen", "cup"]

    def decided(shown: EncodedFrame | None) -> str | None:
        assert shown is not None
        rig.encoded.put(shown)
        assert rig.decide.step()
        return rig.events[-1].label

    assert [decided(rig.show(frame("red", 1 + n / 10, n))) for n in range(3)] == ["mug"] * 3
    rig.revision += 1
    assert [decided(rig.show(frame("red", 2 + n / 10, n))) for n in range(3)] == ["pen"] * 3
    # the changed picture is replaced by one like it before it is decided on
    changed, like_it = rig.show(frame("blue", 3, 8)), rig.show(frame("blue", 3.1, 9))
    assert (changed.fresh, like_it.fresh) == (True, False)
    assert decided(like_it) == "cup"


def test_idle_mode_can_be_switched_off_while_running() -> None:
    rig = Rig(quiet_config(idle=IdleConfig(threshold=3)))
    rig.show(frame("red", 1))
    rig.pace.config = quiet_config()
    assert rig.show(frame("red", 2, 1)).fresh
    assert rig.show(frame("blue", 3, 2)).fresh
    rig.pace.config = quiet_config(idle=IdleConfig(threshold=3))
    assert rig.show(frame("red", 4, 3)).fresh, "what was seen before it was off is no reference any more"
    assert not rig.show(frame("red", 5, 4)).fresh


def test_the_end_is_passed_on_after_the_last_frame() -> None:
    rig = Rig(quiet_config(decision=DecisionConfig(max_fps=1)))
    rig.show(frame("red", 1))
    rig.frames.put(frame("blue", 2, 1))
    rig.frames.close()
    while rig.prepare.step():
        pass
    while rig.encode.step():
        pass
    assert rig.decide.step()
    assert not rig.decide.step()
    assert [event.label for event in rig.events] == ["blue"]


def test_an_event_says_how_long_its_frame_waited_for_the_encoder() -> None:
    rig = Rig()
    rig.clock.advance(0.5)
    rig.frames.put(frame("red", 1.25, 3))
    for stage in (rig.prepare, rig.encode):
        assert stage.step()
    rig.clock.advance(0.125)
    assert rig.decide.step()
    event = rig.decide.last
    assert event is not None
    assert (event.waited_ns, event.latency_ns) == (NS_PER_S // 4, NS_PER_S * 3 // 8)


def test_an_event_says_what_how_surely_when_and_how_late() -> None:
    rig = Rig()
    rig.clock.advance(1.25)
    rig.encoded.put(EncodedFrame(2 * NS_PER_S, 4, np.array([9, 1, 1], np.uint8), True))
    assert rig.decide.step()
    event = rig.decide.last
    assert event is not None
    assert (event.label, event.sequence, event.decision.margin, event.fresh) == ("red", 4, 1, True)
    assert 0 < event.confidence < 1
    assert (event.time_ns, event.captured_ns, event.changed) == (77, 2 * NS_PER_S, True)
    assert event.latency_ns == rig.decide.slowest_ns == NS_PER_S // 4
    assert [label for _, label in rig.indicator.shown] == ["red"]
    assert rig.decide.fps() is None


def test_the_rate_is_that_of_the_last_decisions() -> None:
    rig = Rig()
    for number in range(200):
        rig.clock.advance(0.1 if number < 100 else 0.05)
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    assert rig.decide.fps() == pytest.approx(20)
    assert rig.decide.decided == 200
    rig.clock.advance(0.15)
    assert rig.decide.fps() == pytest.approx(20), "a frame or two may be late"
    rig.clock.advance(29.85)
    assert rig.decide.fps() == pytest.approx(0.1), "a camera that is gone has no rate"


def test_the_vote_shows_on_the_lights_and_keeps_the_frames_own_decision() -> None:
    rig = Rig(quiet_config(decision=DecisionConfig(vote=3)))
    rig.said = ["red", "red", "blue", "blue"]
    for number in range(4):
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    assert [event.label for event in rig.events] == ["red", "red", "red", "blue"]
    assert [event.decision.label for event in rig.events] == ["red", "red", "blue", "blue"]
    assert [event.changed for event in rig.events] == [True, False, False, True]
    assert [label for _, label in rig.indicator.shown] == ["red", "red", "red", "blue"]


def test_a_light_follows_its_class_when_that_is_renamed() -> None:
    rig = Rig(lights=("green", "red"))
    rename = Action(1, 0, "rename", (ExampleChange(1, "red", "blue"),))
    rig.said = ["red", "blue", "red", None]
    for number in range(4):
        if number == 1:
            rig.references.follow(rename, undone=False)
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    shown = [label for _, label in rig.indicator.shown]
    assert shown == ["red", "red", "", None], "blue has the light of red; a new class red has none"
    assert [event.label for event in rig.events] == ["red", "blue", "red", None]


def test_what_is_too_new_is_unknown_on_lights_and_in_the_event_which_names_the_nearest() -> None:
    rig = Rig()
    rig.said = ["red", "red"]
    for number, novelty in enumerate((-2000, 20 * 1024)):
        rig.novelty = novelty
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    known, unknown = rig.events
    assert (known.label, known.nearest, known.novelty) == ("red", "red", -2000)
    assert (unknown.label, unknown.nearest, unknown.confidence) == (None, "red", 0.0)
    assert unknown.limit is not None
    assert unknown.limit < unknown.novelty
    assert unknown.decision.label == "red"
    assert unknown.changed
    assert [label for _, label in rig.indicator.shown] == ["red", None]


def test_strictness_is_taken_over_while_it_runs() -> None:
    rig = Rig(quiet_config(decision=DecisionConfig(strictness=1.0)))
    rig.said = ["red", "red", "red"]
    rig.novelty = 4 * 1024
    for number, strictness in enumerate((1.0, 0.0, 0.25)):
        rig.pace.config = quiet_config(decision=DecisionConfig(strictness=strictness))
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    assert [event.label for event in rig.events] == [None, "red", "red"]
    assert [event.limit is None for event in rig.events] == [False, True, False]


def test_several_frames_are_voted_on_before_their_mean_novelty_is_judged() -> None:
    rig = Rig(quiet_config(decision=DecisionConfig(vote=4, strictness=1.0)))
    rig.said = ["red"] * 4
    limit = DecisionCalibrator().limit(1.0)
    assert limit is not None
    for number, above in enumerate((-4000, 3000, -4000, 3000)):
        rig.novelty = limit + above
        rig.encoded.put(EncodedFrame(number, number, np.zeros(3, np.uint8), True))
        rig.decide.step()
    assert [event.label for event in rig.events] == ["red"] * 4
    assert rig.events[-1].novelty == limit - 500


def test_another_view_begins_a_new_vote_and_is_encoded_however_alike_it_is() -> None:
    config = quiet_config(decision=DecisionConfig(vote=5), idle=IdleConfig(threshold=3))
    rig = Rig(config, since=lambda time_ns: 4 * NS_PER_S if time_ns > 4 * NS_PER_S else -1)
    rig.said = ["red", "red", "red", "green", "red"]
    for second in (1, 2, 3, 5, 6):
        rig.revision += 1  # something is learnt, so a picture that is alike may be decided on otherwise
        encoded = rig.show(frame("red", second, second))
        assert encoded is not None
        rig.encoded.put(encoded)
        assert rig.decide.step()
    # of the three for red none counts any more; of two equal ones the newest does
    assert [event.label for event in rig.events] == ["red", "red", "red", "green", "red"]
    assert [event.fresh for event in rig.events] == [True, False, False, True, False]


def test_vote() -> None:
    def labels(vote: MajorityVote, cast: Sequence[str | None], over: int) -> list[str | None]:
        return [vote.cast(Ballot(label, 0, 0.5), over).label for label in cast]

    vote = MajorityVote()
    assert labels(vote, ["a", "b", "b", None, None, "a"], 3) == ["a", "b", "b", "b", None, None]
    assert labels(vote, ["a"], 1) == ["a"]
    assert labels(MajorityVote(), ["a", "a", "b", "b"], 4) == ["a", "a", "a", "b"]


def test_the_vote_averages_the_evidence_of_those_that_agree() -> None:
    vote = MajorityVote()
    for ballot in (Ballot("a", 100, 0.9), Ballot("b", 9000, 0.1), Ballot("a", 301, 0.5)):
        last = vote.cast(ballot, 3)
    assert last == Ballot("a", 200, pytest.approx(0.7))
