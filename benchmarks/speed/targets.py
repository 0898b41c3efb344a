"""The targets, and whether the kept figures reach them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

KNP_LEARNT, KNP_DECIDED, TIMES = 150.0, 187.0, 100.0
"""Examples and images a second of the Kaspersky Neuromorphic Platform's CoLaNET example, 1280 inputs x 200 L neurons,
in its faster form (float), on two cores of x86-64."""


class Target(NamedTuple):
    """A figure and its target."""

    name: str
    value: float | None
    """None: it was not measured."""
    limit: float
    most: bool = True
    """Whether `limit` is an upper limit; else it is a lower one."""
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.limit if self.most else self.value >= self.limit

    def line(self) -> tuple[str, str, str, str]:
        """Return name, figure, target and verdict for a table."""
        figure = "not measured" if self.value is None else f"{self.value:,.4g}{self.unit}"
        verdict = {True: "pass", False: "short", None: "-"}[self.met]
        return self.name, figure, f"{'at most' if self.most else 'at least'} {self.limit:,.4g}{self.unit}", verdict


def targets(found: Mapping[str, Any]) -> list[Target]:
    """Return all targets with the figures of a kept result (`benchmarks.speed.__main__` makes it)."""
    return [*_deciding(found), *_learning(found), *_frame(found), *_staying(found)]


def _deciding(found: Mapping[str, Any]) -> list[Target]:
    rows = []
    for name in ("10 classes", "64 classes", "1000 classes"):
        size = found["classifier"][name]
        rows.append(Target(f"weights' pass / memory floor, {name}", size["weights_to_floor"]["value"], 1.5))
        rows.append(Target(f"whole decision / memory floor, {name}", size["decide_to_floor"]["value"], 1.5))
    for name in ("10 classes, K = 7, E = 15", "64 classes, K = 7, E = 15"):
        size = found["classifier"][name]
        rows.append(Target(f"whole decision / memory floor, {name}", size["decide_to_floor"]["value"], 1.5))
    knp = found["classifier"]["KNP's: 10 classes, K = 20"]
    rows.append(Target("KNP's network: decisions", knp["decisions_per_s"], TIMES * KNP_DECIDED, False, "/s"))
    rows.append(Target("KNP's network: examples learnt", knp["learnt_per_s"], TIMES * KNP_LEARNT, False, "/s"))
    ours = found["classifier"]["200 classes"]
    rows.append(Target("200 classes: decisions", ours["decisions_per_s"], TIMES * KNP_DECIDED, False, "/s"))
    rows.append(Target("200 classes: examples learnt", ours["learnt_per_s"], TIMES * KNP_LEARNT, False, "/s"))
    share = found["device"]["ratios"]["rate_code_and_decide_to_encoder"]
    return [*rows, Target("CoLaNET's share, of the encoder's invoke", share, 0.25)]


def _learning(found: Mapping[str, Any]) -> list[Target]:
    size = found["classifier"]["64 classes"]
    return [
        Target("learn one example / decide, 64 classes", size["learn_to_decide"]["value"], 3.0),
        Target("learn one example after a frame, 64 classes", found["device"]["learn_ms"]["p50"], 1.0, unit=" ms"),
        Target("replay of 5,000 examples, 64 classes", found["replay"]["seconds"], 5.0, unit=" s"),
    ]


def _frame(found: Mapping[str, Any]) -> list[Target]:
    device = found["device"]
    return [
        Target("whole frame / encoder, one after the other", device["ratios"]["frame_to_encoder"], 1.3),
        Target("live loop / encoder's own best rate", device["sustained"]["live_to_bare"], 0.95, False),
        Target("kept of what a frame allocates", device["frame_allocation"]["kept"], 64, unit=" bytes"),
        Target("most that a frame allocates at a time", device["frame_allocation"]["peak"] / 1024, 32, unit=" KB"),
    ]


def _staying(found: Mapping[str, Any]) -> list[Target]:
    device, process = found["device"], found["process"]
    live, idle = found["live_memory"] or {"rss_mb": None}, found["idle"] or {"cpu_share": None}
    return [
        Target("start to first decision, caches warm", device["startup_s"], 3.0, unit=" s"),
        Target("edge-app --help", process["help_s"], 0.2, unit=" s"),
        Target("resident memory, 64 classes, after a first decision", device["rss_mb"], 250, unit=" MB"),
        Target("resident memory, 64 classes, edge-app run that has taught", live["rss_mb"], 250, unit=" MB"),
        Target("start with 1,000 classes", process["many_classes_startup_s"], 3.0, unit=" s"),
        Target("idle mode, of one core", idle["cpu_share"], 0.05),
    ]
