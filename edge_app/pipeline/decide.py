"""The fourth stage: embedding -> decision, with a majority vote over the last ones if configured, and the lights."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S, Clock, Indicator, Signal
from edge_app.messages import Decision
from edge_app.pipeline.calibrator import ConfidenceCalibrator
from edge_app.pipeline.encode import EncodedFrame
from edge_app.pipeline.events import Decided
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import SLICE_S

LIGHT = "light "
"""Prefix of the keys of references to a light's class."""
RATE_OVER = 64
"""Decisions over which the rate is measured."""


class Classifier(Protocol):
    """The part of the learner that this stage uses."""

    def classify(self, embedding: NDArray[np.uint8], /) -> Decision:
        """Return the decision on an embedding, (n,)."""


class MajorityVote:
    """The most frequent label of the last decisions; of equally frequent ones the newest."""

    def __init__(self) -> None:
        self._labels: deque[str | None] = deque()

    def cast(self, label: str | None, over: int) -> str | None:
        """Add a decision and return the label that most of the last `over` decisions have."""
        self._labels.append(label)
        while len(self._labels) > over:
            self._labels.popleft()
        # most_common keeps the order of insertion among equals, so the newest must come first
        return Counter(reversed(self._labels)).most_common(1)[0][0]


class SharedIndicator:
    """An indicator that several stages may use; does nothing without one.

    A light has the name that its class had when the light was configured; it follows the class when that is renamed.
    """

    def __init__(self, indicator: Indicator | None, references: ClassReferences) -> None:
        self._indicator = indicator
        self._references = references
        self._lock = threading.Lock()
        for name in indicator.names if indicator is not None else ():
            references.label(LIGHT + name, name)

    def show(self, decision: Decision) -> None:
        """Show a decision."""
        if self._indicator is not None:
            with self._lock:
                self._indicator.show(self._by_lights(decision) if self._indicator.names else decision)

    def _by_lights(self, decision: Decision) -> Decision:
        """Return the decision with the names of the lights instead of those of the classes."""
        lights = self._references.items(LIGHT)
        names = {label: light for light, label in lights.items()}

        def name(label: str) -> str:
            return names.get(label, "" if label in lights else label)

        label = None if decision.label is None else name(decision.label)
        return decision._replace(label=label, labels=tuple(name(label) for label in decision.labels))

    def blink(self, signal: Signal) -> None:
        """Acknowledge a command."""
        if self._indicator is not None:
            with self._lock:
                self._indicator.blink(signal)


class Decide:
    """Newest embedding -> decision."""

    name = "decide"
    longest_wait_s = 5.0

    def __init__(
        self,
        encoded: Latest[EncodedFrame],
        classifier: Classifier,
        lights: SharedIndicator,
        pace: Pace,
        clock: Clock,
        tell: Callable[[Decided], None],
        calibrator: ConfidenceCalibrator,
        *,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """`tell` receives every decision; `wall` is the wall clock, nanoseconds since 1970."""
        self._encoded = encoded
        self._classifier = classifier
        self._lights = lights
        self._pace = pace
        self._clock = clock
        self._tell = tell
        self._calibrator = calibrator
        self._wall = wall
        self._vote = MajorityVote()
        self._times: deque[int] = deque(maxlen=RATE_OVER)
        self.decided = 0
        self.last: Decided | None = None
        self.slowest_ns = 0
        """The longest latency so far."""

    def step(self) -> bool:
        """Decide on the newest embedding, or wait for one; False once there will be none."""
        encoded = self._encoded.take(SLICE_S)
        if encoded is None:
            return not self._encoded.over
        decision = self._classifier.classify(encoded.embedding)
        label = self._vote.cast(decision.label, self._pace.config.decision.vote)
        now_ns = self._clock.monotonic_ns()
        event = Decided(
            label,
            decision,
            self._calibrator.confidence(decision),
            encoded.sequence,
            self._wall(),
            captured_ns=encoded.time_ns,
            latency_ns=now_ns - encoded.time_ns,
            waited_ns=encoded.waited_ns,
            fresh=encoded.fresh,
            changed=self.last is None or self.last.label != label,
        )
        self._lights.show(decision if label == decision.label else decision._replace(label=label))
        self._times.append(now_ns)
        self.slowest_ns = max(self.slowest_ns, event.latency_ns)
        self.decided += 1
        self.last = event
        self._tell(event)
        return True

    def fps(self) -> float | None:
        """Return decisions per second over the last ones; None before there are two."""
        times = list(self._times)
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) * NS_PER_S / (times[-1] - times[0])
