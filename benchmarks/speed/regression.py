"""Compares the ratios of two runs. Times are not compared: the runs may be from different machines.

A ratio may differ by three times its spread within both runs, and at least by `LEAST` (docs/performance.md gives the
differences between runs of the same commit).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LEAST = 0.10
MOST = 0.50
"""A spread above this makes a ratio inconclusive."""


class RatioChange(NamedTuple):
    """A ratio in the last kept result and now; all ratios here are better when they are smaller."""

    name: str
    before: float
    now: float
    allowed: float
    """As a part of `before`."""

    @property
    def verdict(self) -> str:
        """Say "worse", "better", "same", or "too noisy" to tell."""
        if self.allowed > MOST:
            return "too noisy"
        change = self.now / self.before - 1
        return "worse" if change > self.allowed else "better" if change < -self.allowed else "same"


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[RatioChange]:
    """Return the changes of all ratios that both results have."""
    old, new = dict(ratios(before)), dict(ratios(now))
    changes = []
    for name in old.keys() & new.keys():
        (was, spread), (is_, new_spread) = old[name], new[name]
        changes.append(RatioChange(name, was, is_, max(LEAST, 3 * (spread**2 + new_spread**2) ** 0.5)))
    return sorted(changes)


def ratios(found: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield (name, (value, spread)) of a result's ratios, inverted where necessary, so that less is better."""
    device = found["device"]
    for name, value in device["ratios"].items():
        yield f"device: {name}", (value, device["ratio_spreads"][name])
    sustained = device["sustained"]
    yield "device: encoder alone to live loop", (1 / sustained["live_to_bare"], sustained["spread"])
    for size, values in found["classifier"].items():
        for name in ("decide_to_floor", "weights_to_floor", "learn_to_decide"):
            yield f"{size}: {name}", (values[name]["value"], values[name]["spread"])
    for name, values in found["peers"]["to_colanet"].items():
        yield f"CoLaNET to {name}", (1 / values["value"], values["spread"])
    for curve, values in found["state_sizes"].items():
        yield f"state, bytes for each of {curve}", (values["bytes_each"], 0.0)


def report(changes: list[RatioChange]) -> str:
    """Return what changed, as text; one line where nothing did."""
    lines = [
        f"{change.verdict}: {change.name} {change.before:.3g} -> {change.now:.3g} (allowed: {change.allowed:.0%})"
        for change in changes
        if change.verdict != "same"
    ]
    same = len(changes) - len(lines)
    return "\n".join([*lines, f"{same} of {len(changes)} ratios are as in the last kept result"])
