"""Rules on decisions: events in, actions out. Pure: every time is an argument.

The visits of history/visits.py are the conditions' ground: a label that flickers is no visit, so nothing fires for it.
A firing that is held back, by the pause or the cap, is dropped and not made later.
"""

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from edge_app.config import RuleConfig
from edge_app.config.acting import ANY, DAYS, UNKNOWN
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.history.visits import Visit, VisitTracker
from edge_app.pipeline.events import Decided
from edge_app.rules.firing import Firing
from edge_app.rules.sentence import sentence

HOUR_NS = 3600 * NS_PER_S
MS = 1_000_000
TEST_PULSE_NS = NS_PER_S
"""Length of the pulse by which a rule with a level is tested."""


class Level(NamedTuple):
    """Hold an output on, or no longer."""

    output: str
    rule: str
    on: bool


class Pulse(NamedTuple):
    """Switch an output on for a time."""

    output: str
    length_ns: int


class CallWebhook(NamedTuple):
    """Send a firing to a webhook."""

    webhook: str
    firing: Firing


class Append(NamedTuple):
    """Append a firing to a file."""

    path: str
    firing: Firing


class Publish(NamedTuple):
    """Publish a firing on an MQTT topic."""

    topic: str
    firing: Firing


class Fired(NamedTuple):
    """A rule fired, or was tested; comes before its other actions."""

    firing: Firing


RuleAction = Fired | Level | Pulse | CallWebhook | Append | Publish


class RuleReport(NamedTuple):
    """How a rule does."""

    config: RuleConfig
    label: str
    """The present name of its class."""
    enabled: bool
    fired: int
    """Firings since the start, tests not counted."""
    last_fired_ns: int | None
    """Wall clock; None: not since the start."""
    holding: bool
    """Whether its output is on because the condition holds."""
    reason: str
    """Why it does not fire now, or that it has fired."""

    @property
    def sentence(self) -> str:
        """The rule in words, with the present name of its class."""
        return sentence(self.config, self.label)


@dataclass(slots=True)
class _State:
    rule: RuleConfig
    enabled: bool
    visit: int | None = None
    """The visit that it is about: its begin on the monotonic clock."""
    settled: bool = False
    """Whether it fired for this visit or absence, or its firing was held back."""
    holding: bool = False
    seen_ns: int | None = None
    """When the class was last in view, for "absent"."""
    times_ns: deque[int] = field(default_factory=deque)
    """Firings of the last hour."""
    fired: int = 0
    last_wall_ns: int | None = None
    reason: str = "no decision was made yet"


class _Moment(NamedTuple):
    """The present, and what a firing tells of it."""

    now_ns: int
    wall_ns: int
    frame: int | None


def local_time(wall_ns: int) -> datetime:
    """Return the local time of a time on the wall clock, nanoseconds since 1970."""
    return datetime.fromtimestamp(wall_ns / NS_PER_S)


class RuleEngine:
    """The rules of one place; for one thread."""

    def __init__(
        self,
        rules: Sequence[RuleConfig],
        tracker: VisitTracker,
        label_of: Callable[[RuleConfig], str] = lambda rule: rule.label,
        *,
        enabled: Mapping[str, bool] | None = None,
        local: Callable[[int], datetime] = local_time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """`label_of` gives the present name of a rule's class; `enabled` are the rules that were switched on or off."""
        self._tracker, self._label_of, self._local, self._new_id = tracker, label_of, local, new_id
        switched = enabled or {}
        self._states = {rule.name: _State(rule, switched.get(rule.name, rule.enabled)) for rule in rules}
        self._interrupted = True
        """Whether no decisions came for a while: what was not seen then is not known to be absent."""

    def see(self, event: Decided) -> list[RuleAction]:
        """Take the next decision."""
        moment = _Moment(event.captured_ns, event.time_ns, event.sequence)
        actions = self.tick(event.captured_ns, event.time_ns)
        changes = self._tracker.see(event)
        for state in self._states.values():
            if self._interrupted:
                state.seen_ns = moment.now_ns
            for change in changes:
                if change.kind == "left":
                    actions += self._left(state, change.visit, moment)
            actions += self._consider(state, moment)
        self._interrupted = False
        return actions

    def tick(self, now_ns: int, wall_ns: int) -> list[RuleAction]:
        """Let time pass without a decision: a visit ends when none comes for long."""
        changes = self._tracker.tick(now_ns)
        if self._interrupted or not self._tracker.interrupted:
            return []
        self._interrupted = True
        actions: list[RuleAction] = []
        for state in self._states.values():
            for change in changes:
                actions += self._left(state, change.visit, _Moment(now_ns, wall_ns, None))
            actions += self._end(state, "the camera delivers no pictures")
        return actions

    @property
    def watching(self) -> bool:
        """Whether decisions come, so that `tick` must be called when they no longer do."""
        return not self._tracker.interrupted

    def has(self, name: str) -> bool:
        """Return whether there is a rule of that name."""
        return name in self._states

    def switch(self, name: str, on: bool) -> list[RuleAction]:
        """Switch a rule on or off. Raises InputError for an unknown one."""
        state = self._find(name)
        state.enabled = on
        return [] if on else self._end(state, "it is switched off")

    def test(self, name: str, now_ns: int, wall_ns: int) -> list[RuleAction]:
        """Return a rule's actions, marked as a test, whatever its condition. Raises InputError for an unknown one."""
        state = self._find(name)
        label = self._label_of(state.rule)
        shown = None if label in (ANY, UNKNOWN) else label
        firing = self._firing(state.rule, shown, 0.0, 0, _Moment(now_ns, wall_ns, None))._replace(test=True)
        return self._actions(state.rule, firing)

    def reports(self) -> list[RuleReport]:
        """Return a report on each rule, in the order of the configuration."""
        return [
            RuleReport(
                one.rule,
                self._label_of(one.rule),
                one.enabled,
                one.fired,
                one.last_wall_ns,
                one.holding,
                one.reason,
            )
            for one in self._states.values()
        ]

    def _find(self, name: str) -> _State:
        if name not in self._states:
            raise InputError(f"no rule {name!r}; known rules: {', '.join(self._states) or 'none'}")
        return self._states[name]

    # Conditions

    def _consider(self, state: _State, moment: _Moment) -> list[RuleAction]:
        rule = state.rule
        if not state.enabled:
            state.reason = "it is switched off"
            return []
        if rule.place and rule.place != self._tracker.place:
            state.reason = f"it is for the place {rule.place!r}, and this is {self._tracker.place!r}"
            return []
        if rule.when == "absent":
            return self._consider_absent(state, moment)
        if rule.when == "left":
            if not state.fired:
                state.reason = f"{self._shown(rule)} has not left yet"
            return []
        visit = self._tracker.current
        if visit is None or not self._is_about(rule, visit.label):
            return self._end(state, f"{self._shown(rule)} is not in view")
        actions: list[RuleAction] = []
        if state.visit != visit.begin_monotonic_ns:  # of a rule for any class, the next one
            actions = self._end(state, state.reason)
            state.visit = visit.begin_monotonic_ns
        outside = self._outside(rule, moment.wall_ns)
        if state.settled:
            return [*actions, *(self._release(state, outside) if outside else [])]
        confidence, lasted_ns = visit.best.confidence, visit.duration_ns
        if outside:
            state.reason = outside
        elif confidence < rule.confidence:
            state.reason = f"the confidence is {confidence:.2f}, less than {rule.confidence:g}"
        elif lasted_ns < rule.for_s * NS_PER_S:
            state.reason = f"{self._shown(rule)} has been in view for {lasted_ns / NS_PER_S:.1f} s of {rule.for_s:g} s"
        else:
            actions += self._fire(state, visit.label, confidence, lasted_ns, moment)
        return actions

    def _consider_absent(self, state: _State, moment: _Moment) -> list[RuleAction]:
        rule, visit = state.rule, self._tracker.current
        if visit is not None and self._is_about(rule, visit.label):
            state.seen_ns = moment.now_ns
            return self._end(state, f"{self._shown(rule)} is in view")
        assert state.seen_ns is not None  # set with the first decision
        outside = self._outside(rule, moment.wall_ns)
        if state.settled:
            return self._release(state, outside) if outside else []
        gone_ns = moment.now_ns - state.seen_ns
        if gone_ns < rule.for_s * NS_PER_S:
            state.reason = f"{self._shown(rule)} has been absent for {gone_ns / NS_PER_S:.1f} s of {rule.for_s:g} s"
        elif outside:
            state.reason = outside
        else:
            label = self._label_of(rule)
            return self._fire(state, None if label == UNKNOWN else label, 0.0, gone_ns, moment)
        return []

    def _left(self, state: _State, visit: Visit, moment: _Moment) -> list[RuleAction]:
        rule = state.rule
        if rule.when != "left" or not state.enabled or not self._is_about(rule, visit.label):
            return []
        if rule.place and rule.place != visit.place:
            return []
        if visit.confidence < rule.confidence:
            state.reason = f"the confidence was {visit.confidence:.2f}, less than {rule.confidence:g}"
        elif outside := self._outside(rule, moment.wall_ns):
            state.reason = outside
        else:
            return self._fire(state, visit.label, visit.confidence, visit.duration_ns, moment)
        return []

    def _is_about(self, rule: RuleConfig, label: str | None) -> bool:
        wanted = self._label_of(rule)
        # a class may be called "unknown" too: the rule is about both
        return wanted == ANY or wanted == (UNKNOWN if label is None else label)

    def _shown(self, rule: RuleConfig) -> str:
        label = self._label_of(rule)
        return "anything" if label == ANY else label

    def _outside(self, rule: RuleConfig, wall_ns: int) -> str:
        """Return why a rule does not fire at this time of the day or week, "" if it may."""
        now = self._local(wall_ns)
        day = now
        if rule.span is not None:
            begin, end = rule.span
            minute = now.hour * 60 + now.minute
            inside = begin <= minute < end if begin < end else minute >= begin or minute < end
            if not inside:
                return f"it is {now:%H:%M}, outside of {rule.hours}"
            if begin > end and minute < end:
                day = now - timedelta(days=1)
        name = DAYS[day.weekday()]
        return "" if not rule.weekdays or name in rule.weekdays else f"it is {name}, not {', '.join(rule.weekdays)}"

    # Firing

    def _fire(
        self, state: _State, label: str | None, confidence: float, lasted_ns: int, moment: _Moment
    ) -> list[RuleAction]:
        rule, now_ns = state.rule, moment.now_ns
        state.settled = True
        while state.times_ns and now_ns - state.times_ns[0] >= HOUR_NS:
            state.times_ns.popleft()
        if state.times_ns and now_ns - state.times_ns[-1] < rule.pause_s * NS_PER_S:
            past_s = (now_ns - state.times_ns[-1]) / NS_PER_S
            state.reason = f"held back: it had fired {past_s:.1f} s before, and pause_s = {rule.pause_s:g}"
            return []
        if len(state.times_ns) >= rule.per_hour:
            state.reason = f"held back: it had fired {len(state.times_ns)} times in an hour, as per_hour allows"
            return []
        state.times_ns.append(now_ns)
        state.fired += 1
        state.last_wall_ns = moment.wall_ns
        state.reason = "it has fired"
        state.holding = bool(rule.output) and not rule.pulse_ms
        return self._actions(rule, self._firing(rule, label, confidence, lasted_ns, moment), level=True)

    def _firing(
        self, rule: RuleConfig, label: str | None, confidence: float, lasted_ns: int, moment: _Moment
    ) -> Firing:
        return Firing(
            self._new_id(),
            rule.name,
            rule.when,
            label,
            self._tracker.place,
            confidence,
            lasted_ns / NS_PER_S,
            moment.frame,
            moment.wall_ns,
        )

    def _actions(self, rule: RuleConfig, firing: Firing, *, level: bool = False) -> list[RuleAction]:
        """Return a rule's actions; without `level` a pulse in place of a level."""
        actions: list[RuleAction] = [Fired(firing)]
        if rule.output and rule.pulse_ms:
            actions.append(Pulse(rule.output, rule.pulse_ms * MS))
        elif rule.output:
            actions.append(Level(rule.output, rule.name, True) if level else Pulse(rule.output, TEST_PULSE_NS))
        if rule.webhook:
            actions.append(CallWebhook(rule.webhook, firing))
        if rule.file:
            actions.append(Append(rule.file, firing))
        if rule.topic:
            actions.append(Publish(rule.topic, firing))
        return actions

    def _end(self, state: _State, reason: str) -> list[RuleAction]:
        """Let the next visit or absence begin anew."""
        state.visit, state.settled = None, False
        return self._release(state, reason)

    def _release(self, state: _State, reason: str) -> list[RuleAction]:
        """End the level of an output."""
        state.reason = reason
        if not state.holding:
            return []
        state.holding = False
        return [Level(state.rule.output, state.rule.name, False)]
