"""The fourth stage: embedding -> decision, a vote over the last ones if wished, lights."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S, Clock, Indicator, Signal
from edge_app.messages import Decision
from edge_app.pipeline.calibrator import ConfidenceCalibrator
from edge_app.pipeline.encode import EncodedFrame
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.stage import SLICE_S

RATE_OVER = 64
"""Decisions that the rate is measured over."""


class Classifier(Protocol):
    """What this stage asks of the learner."""

    def classify(self, embedding: NDArray[np.uint8], /) -> Decision:
        """Return the decision on an embedding."""


class Answer(NamedTuple):
    """What the device says of a frame."""

    label: str | None
    """The class, after the vote; None: unknown."""
    decision: Decision
    """The classifier's own answer to this frame, with margin and spikes."""
    confidence: float
    """Chance that the classifier's own answer is right, if what is shown belongs to a taught class; 0 for unknown."""
    sequence: int
    """The frame's number."""
    time_ns: int
    """When the frame was captured."""
    latency_ns: int
    """From then to the decision."""
    fresh: bool
    """False: the picture had not changed, and was not encoded again."""
    waited_ns: int = 0
    """From capture until the encoder took it."""


class MajorityVote:
    """The label that most of the last decisions had; among equals the one that was decided last."""

    def __init__(self) -> None:
        self._labels: deque[str | None] = deque()

    def cast(self, label: str | None, over: int) -> str | None:
        """Take in a decision and return what the last `over` of them come to."""
        self._labels.append(label)
        while len(self._labels) > over:
            self._labels.popleft()
        # most_common keeps the order of first sight among equals, so the newest must be seen first
        return Counter(reversed(self._labels)).most_common(1)[0][0]


class SharedIndicator:
    """An indicator that several stages may use; without one nothing happens."""

    def __init__(self, indicator: Indicator | None) -> None:
        self._indicator = indicator
        self._lock = threading.Lock()

    def show(self, decision: Decision) -> None:
        """Show a decision."""
        if self._indicator is not None:
            with self._lock:
                self._indicator.show(decision)

    def blink(self, signal: Signal) -> None:
        """Acknowledge what a person did."""
        if self._indicator is not None:
            with self._lock:
                self._indicator.blink(signal)


class Decide:
    """Newest embedding -> answer."""

    name = "decide"
    longest_wait_s = 5.0

    def __init__(
        self,
        encoded: Latest[EncodedFrame],
        classifier: Classifier,
        lights: SharedIndicator,
        pace: Pace,
        clock: Clock,
        answered: Callable[[Answer], None],
        assurance: ConfidenceCalibrator,
    ) -> None:
        self._assurance = assurance
        self._encoded = encoded
        self._classifier = classifier
        self._lights = lights
        self._pace = pace
        self._clock = clock
        self._answered = answered
        self._vote = MajorityVote()
        self._times: deque[int] = deque(maxlen=RATE_OVER)
        self.decided = 0
        self.last: Answer | None = None
        self.slowest_ns = 0
        """The longest latency so far."""

    def step(self) -> bool:
        """Decide on the newest embedding, or wait for one; False once there will be none."""
        encoded = self._encoded.take(SLICE_S)
        if encoded is None:
            return not self._encoded.over
        decision = self._classifier.classify(encoded.embedding)
        label = self._vote.cast(decision.label, self._pace.tuning.vote)
        now_ns = self._clock.monotonic_ns()
        latency_ns = now_ns - encoded.time_ns
        sure = self._assurance.confidence(decision)
        answer = Answer(
            label,
            decision,
            sure,
            encoded.sequence,
            encoded.time_ns,
            latency_ns,
            encoded.fresh,
            encoded.waited_ns,
        )
        self._lights.show(decision if label == decision.label else decision._replace(label=label))
        self._times.append(now_ns)
        self.slowest_ns = max(self.slowest_ns, latency_ns)
        self.decided += 1
        self.last = answer
        self._answered(answer)
        return True

    def fps(self) -> float | None:
        """Return decisions a second over the last ones; None before there are two."""
        times = list(self._times)
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) * NS_PER_S / (times[-1] - times[0])
