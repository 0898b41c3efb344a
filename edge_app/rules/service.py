"""Runs the rules of a device: decisions in, outputs switched, firings handed over. One thread; nothing waits for it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_app.closing import Closing
from edge_app.config import OutputsConfig
from edge_app.devices.ports import NS_PER_S, Clock, Outputs
from edge_app.errors import DeviceError
from edge_app.messages import Frame, Report
from edge_app.pipeline.events import Decided, Event
from edge_app.pipeline.recent import RecentFrames
from edge_app.rules.deliveries import Deliveries, Delivery
from edge_app.rules.engine import Append, CallWebhook, Fired, Level, Publish, Pulse, RuleAction, RuleReport
from edge_app.rules.engines import RuleEngines
from edge_app.rules.firing import Firing, to_json
from edge_app.rules.kept_switches import KeptSwitches
from edge_app.rules.outputs import OutputPlan

if TYPE_CHECKING:
    from edge_app.rules.webhooks import WebhookStatus

MOST_WAITING = 1000
"""Decisions that wait for the rules; some milliseconds of work."""
TICK_S = 1.0
"""Between two looks at whether decisions still come, while something is in view."""


class Rules(Closing):
    """The rules of a running device; safe to use from any thread."""

    def __init__(
        self,
        engine: RuleEngines,
        outputs: Outputs | None,
        config: OutputsConfig,
        deliveries: Deliveries,
        kept: KeptSwitches,
        recent: Mapping[str, RecentFrames],
        clock: Clock,
        report: Report,
        *,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """`outputs` must be as `config.on_at_start` says; `recent` has the frames of each place, for pictures."""
        self._engine, self._outputs, self._config, self._deliveries = engine, outputs, config, deliveries
        self._kept, self._recent, self._clock, self._report, self._wall = kept, recent, clock, report, wall
        names = () if outputs is None else outputs.names
        self._plan = OutputPlan(
            names,
            on_at_start=config.on_at_start,
            min_on_ns=round(config.min_on_s * NS_PER_S),
            min_off_ns=round(config.min_off_s * NS_PER_S),
        )
        self._written = {name: name in config.on_at_start for name in names}
        self._outputs_failure = ""
        self.publish: Callable[[str, bytes], None] = lambda _topic, _payload: None
        """Publishes an MQTT message; set by the device's composition."""
        self._events: deque[Decided] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._deliveries.start()
        self._thread.start()

    def happened(self, event: Event) -> None:
        """Take an event of the device; returns at once."""
        if isinstance(event, Decided):
            self._events.append(event)
            self._wake.set()

    def reports(self) -> list[RuleReport]:
        """Return a report on each rule."""
        with self._lock:
            return self._engine.reports()

    def webhooks(self) -> "list[WebhookStatus]":
        """Return how each webhook does. Raises StateNotWritable."""
        return self._deliveries.status()

    def levels(self) -> dict[str, bool]:
        """Return name -> on of the outputs."""
        with self._lock:
            return dict(self._written)

    def switch(self, name: str, on: bool) -> None:
        """Switch a rule on or off, also after a restart. Raises InputError for an unknown one."""
        with self._lock:
            self._carry_out(self._engine.switch(name, on))
            self._kept.set(name, on)
        self._report(logging.INFO, "rule_switched", rule=name, on=on)
        self._wake.set()

    def test(self, name: str) -> None:
        """Carry out a rule's actions, marked as a test. Raises InputError for an unknown one."""
        with self._lock:
            self._carry_out(self._engine.test(name, self._clock.monotonic_ns(), self._wall()))
        self._wake.set()

    def step(self) -> float | None:
        """Take in the decisions that came, and switch what is due; return the seconds to wait, None: for a decision."""
        with self._lock:
            while self._events:
                self._plan.begin()
                self._carry_out(self._engine.see(self._events.popleft()))
            now_ns = self._clock.monotonic_ns()
            self._carry_out(self._engine.tick(now_ns, self._wall()))
            next_ns = self._switch(now_ns)
            waits = [TICK_S] if self._engine.watching else []
            if next_ns is not None:
                waits.append(max(0.0, (next_ns - now_ns) / NS_PER_S))
            return min(waits, default=None)

    def _carry_out(self, actions: Sequence[RuleAction]) -> None:
        for action in actions:
            match action:
                case Fired(firing):
                    event = "rule_tested" if firing.test else "rule_fired"
                    self._report(logging.INFO, event, rule=firing.rule, label=firing.label, id=firing.id)
                case Level(output, rule, on):
                    self._plan.hold(output, rule, on)
                case Pulse(output, length_ns):
                    self._plan.pulse(output, length_ns)
                case CallWebhook(webhook, firing):
                    frame = self._frame(firing) if self._deliveries.wants_picture(webhook) else None
                    self._deliveries.add(Delivery(firing, webhook=webhook, frame=frame))
                case Append(path, firing):
                    self._deliveries.add(Delivery(firing, path=path))
                case Publish(topic, firing):
                    self.publish(topic, to_json(firing.fields()))

    def _frame(self, firing: Firing) -> Frame | None:
        """Return the frame that was decided on, or else the newest."""
        recent = self._recent[firing.place]
        found = None if firing.frame is None else recent.numbered(firing.frame)
        return found or recent.newer(-1, 0.0)

    def _switch(self, now_ns: int) -> int | None:
        """Write the levels that changed; return when the next change is due."""
        levels, next_ns = self._plan.state(now_ns)
        changed = {name: on for name, on in levels.items() if on != self._written[name]}
        if changed and self._outputs is not None:
            try:
                self._outputs.set(changed)
            except DeviceError as error:
                if str(error) != self._outputs_failure:
                    self._report(logging.ERROR, "outputs_failed", reason=str(error))
                self._outputs_failure = str(error)
            else:
                self._outputs_failure = ""
                self._written |= changed
        return next_ns

    def _run(self) -> None:
        while not self._stop.is_set():
            # before the step: what comes during it is seen by the next one
            self._wake.clear()
            try:
                wait_s = self.step()
            except Exception as error:
                self._report(logging.CRITICAL, "rules_failed", reason=f"{type(error).__name__}: {error}")
                logging.getLogger(__name__).critical("the rules have stopped", exc_info=error)
                self._rest()
                return
            if wait_s is None:
                self._wake.wait()
            elif wait_s > 0:
                self._clock.wait(self._wake, wait_s)

    def _rest(self) -> None:
        """Give the outputs the levels of a stop."""
        if self._outputs is not None:
            try:
                self._outputs.set({name: name in self._config.on_at_stop for name in self._outputs.names})
            except DeviceError as error:  # the lines are gone
                self._report(logging.ERROR, "outputs_failed", reason=str(error))

    def close(self) -> None:
        """Stop, give the outputs the levels of a stop, and store what waits for webhooks."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._rest()
        if self._outputs is not None:
            self._outputs.close()
        self._deliveries.close()
