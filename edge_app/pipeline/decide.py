"""The fourth stage: embedding -> decision, with a majority vote over the last ones if configured, and the lights."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S, Clock, Indicator, Signal
from edge_app.messages import Decision
from edge_app.pipeline.calibrator import DecisionCalibrator
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
SILENT_PERIODS = 3
"""The rate falls once no decision has come for so many of the usual periods."""


class EmbeddingClassifier(Protocol):
    """The part of the learner that this stage uses."""

    @property
    def revision(self) -> int:
        """Return another number whenever `classify` may return something else."""

    def classify(self, embedding: NDArray[np.uint8], /) -> Decision:
        """Return the decision on an embedding, (n,)."""


class Ballot(NamedTuple):
    """The result of one decision, or of several together."""

    label: str | None
    novelty: int
    """In 1/1024 octave."""
    confidence: float
    """0..1."""


class MajorityVote:
    """The most frequent label of the last decisions; of equally frequent ones the newest.

    The evidence of the decisions for that label is averaged: several frames that are each a little too new are as new
    together, and one that is blurred is outweighed.
    """

    def __init__(self) -> None:
        self._ballots: deque[Ballot] = deque()

    def cast(self, ballot: Ballot, over: int) -> Ballot:
        """Add a decision and return what the last `over` decisions say."""
        self._ballots.append(ballot)
        while len(self._ballots) > over:
            self._ballots.popleft()
        # most_common keeps the order of insertion among equals, so the newest must come first
        label = Counter(one.label for one in reversed(self._ballots)).most_common(1)[0][0]
        agreed = [one for one in self._ballots if one.label == label]
        novelty = sum(one.novelty for one in agreed) // len(agreed)
        return Ballot(label, novelty, sum(one.confidence for one in agreed) / len(agreed))


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
            # "": another class has the name of a light whose own class was renamed, and must not light it
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
        classifier: EmbeddingClassifier,
        lights: SharedIndicator,
        pace: Pace,
        clock: Clock,
        tell: Callable[[Decided], None],
        calibrator: DecisionCalibrator,
        *,
        place: str = "",
        wall: Callable[[], int] = time.time_ns,
        since: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """`tell` receives every decision; `wall` is the wall clock, nanoseconds since 1970.

        `since` says when the view of a frame was set: another view begins a new vote.
        """
        self._since, self._voted_since = since, 0
        self._place = place
        self._encoded = encoded
        self._classifier = classifier
        self._lights = lights
        self._pace = pace
        self._clock = clock
        self._tell = tell
        self._calibrator = calibrator
        self._wall = wall
        self._vote = MajorityVote()
        self._judged: tuple[NDArray[np.uint8], int, Decision] | None = None
        """An embedding, the revision of the network, and the decision on it: the last ones."""
        self._times: deque[int] = deque(maxlen=RATE_OVER)
        self.decided = 0
        self.last: Decided | None = None
        self.slowest_ns = 0
        """The longest latency so far."""

    def due_in_s(self) -> float | None:
        """Return 0 if there is an embedding to decide on, else None; see in_turn.py."""
        return 0.0 if self._encoded.ready else None

    def step(self) -> bool:
        """Decide on the newest embedding, or wait for one; False once there will be none."""
        encoded = self._encoded.take(SLICE_S)
        if encoded is None:
            return not self._encoded.over
        decision = self._decide(encoded)
        own = Ballot(decision.label, decision.novelty, self._calibrator.confidence(decision))
        config = self._pace.config.decision
        # first the vote, then the limit: one blurred frame does not make a known object unknown
        since = self._since(encoded.time_ns)
        if since != self._voted_since:
            self._voted_since, self._vote = since, MajorityVote()
        voted = self._vote.cast(own, config.vote)
        limit = self._calibrator.limit(config.strictness)
        label = None if limit is not None and voted.novelty > limit else voted.label
        now_ns = self._clock.monotonic_ns()
        event = Decided(
            label,
            decision,
            0.0 if label is None else voted.confidence,
            encoded.sequence,
            self._wall(),
            captured_ns=encoded.time_ns,
            latency_ns=now_ns - encoded.time_ns,
            waited_ns=encoded.waited_ns,
            fresh=encoded.fresh,
            changed=self.last is None or self.last.label != label,
            nearest=voted.label,
            novelty=voted.novelty,
            limit=limit,
            place=self._place,
        )
        # the lights show what the page shows, not the decision of one frame
        self._lights.show(decision if label == decision.label else decision._replace(label=label))
        self._times.append(now_ns)
        self.slowest_ns = max(self.slowest_ns, event.latency_ns)
        self.decided += 1
        self.last = event
        self._tell(event)
        return True

    def _decide(self, encoded: EncodedFrame) -> Decision:
        """Return the decision; the last one if neither embedding nor network has changed since."""
        revision = self._classifier.revision  # first: what is learnt meanwhile counts from the next picture on
        judged = self._judged
        # the same array, not `fresh`: the first picture after a change may have been replaced on its way
        if judged is None or judged[0] is not encoded.embedding or judged[1] != revision:
            judged = self._judged = encoded.embedding, revision, self._classifier.classify(encoded.embedding)
        return judged[2]

    def fps(self) -> float | None:
        """Return decisions per second over the last ones; None before there are two."""
        # a copy: the stage's thread goes on adding
        times = list(self._times)
        if len(times) < 2 or times[-1] == times[0]:
            return None
        period_ns = (times[-1] - times[0]) / (len(times) - 1)
        silent_ns = self._clock.monotonic_ns() - times[-1]
        return NS_PER_S / max(period_ns, silent_ns / SILENT_PERIODS)
