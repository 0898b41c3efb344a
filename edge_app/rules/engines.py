"""The rules of a device with several places: an engine for each place, and what they say together."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from edge_app.config import RuleConfig
from edge_app.errors import InputError
from edge_app.history.visits import VisitTracker
from edge_app.pipeline.events import Decided
from edge_app.rules.engine import Level, RuleAction, RuleEngine, RuleReport


class RuleEngines:
    """One engine for each place, with the rules that are about it; for one thread."""

    def __init__(
        self,
        rules: Sequence[RuleConfig],
        trackers: Mapping[str, VisitTracker],
        label_of: Callable[[str, RuleConfig], str],
        *,
        enabled: Mapping[str, bool] | None = None,
    ) -> None:
        """`trackers` by the names of the places; `label_of` takes a place and a rule, see RuleEngine."""
        self._rules = rules
        first = next(iter(trackers))
        self._engines: dict[str, RuleEngine] = {}
        for place, tracker in trackers.items():
            # a rule for a place that there is not says so in the first one's report
            own = [
                rule for rule in rules if rule.place in ("", place) or (place == first and rule.place not in trackers)
            ]
            self._engines[place] = RuleEngine(own, tracker, partial(label_of, place), enabled=enabled)

    def see(self, event: Decided) -> list[RuleAction]:
        """Take the next decision."""
        if len(self._engines) == 1:
            return next(iter(self._engines.values())).see(event)
        return self._of(event.place, self._engines[event.place].see(event))

    def tick(self, now_ns: int, wall_ns: int) -> list[RuleAction]:
        """Let time pass without a decision; see RuleEngine."""
        return [
            action
            for place, engine in self._engines.items()
            for action in self._of(place, engine.tick(now_ns, wall_ns))
        ]

    @property
    def watching(self) -> bool:
        """Whether decisions come in any place."""
        return any(engine.watching for engine in self._engines.values())

    def switch(self, name: str, on: bool) -> list[RuleAction]:
        """Switch a rule on or off, in all its places. Raises InputError for an unknown one."""
        return [
            action
            for place in self._places_of(name)
            for action in self._of(place, self._engines[place].switch(name, on))
        ]

    def test(self, name: str, now_ns: int, wall_ns: int) -> list[RuleAction]:
        """Return a rule's actions, marked as a test, in the first of its places. Raises InputError."""
        place = self._places_of(name)[0]
        return self._of(place, self._engines[place].test(name, now_ns, wall_ns))

    def reports(self) -> list[RuleReport]:
        """Return a report on each rule, in the order of the configuration."""
        found = {place: {one.config.name: one for one in engine.reports()} for place, engine in self._engines.items()}
        return [
            _together({place: one[rule.name] for place, one in found.items() if rule.name in one})
            for rule in self._rules
        ]

    def _places_of(self, name: str) -> list[str]:
        known = [rule.name for rule in self._rules]
        if name not in known:
            raise InputError(f"no rule {name!r}; known rules: {', '.join(known) or 'none'}")
        return [place for place, engine in self._engines.items() if engine.has(name)]

    def _of(self, place: str, actions: list[RuleAction]) -> list[RuleAction]:
        """Return actions whose levels are held for this place: the same rule may hold an output for another too."""
        if len(self._engines) == 1:
            return actions
        return [one._replace(rule=f"{one.rule} in {place}") if isinstance(one, Level) else one for one in actions]


def _together(reports: Mapping[str, RuleReport]) -> RuleReport:
    """Return one report on a rule from those of its places."""
    found = list(reports.values())
    if len(found) == 1:
        return found[0]
    times = [one.last_fired_ns for one in found if one.last_fired_ns is not None]
    return found[0]._replace(
        fired=sum(one.fired for one in found),
        last_fired_ns=max(times, default=None),
        holding=any(one.holding for one in found),
        reason="; ".join(f"{place}: {one.reason}" for place, one in reports.items()),
    )
