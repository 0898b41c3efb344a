"""The classifier against the memory floor, KNP's rates, replay, and how its time and state grow.

The floor of a decision is the bytes of weights that it must read, active inputs x neurons x 2, divided by the bandwidth
of one core for a working set of the weights' size; both are measured in the same turn.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.speed import networks
from benchmarks.speed.bandwidth import bytes_read, reader
from benchmarks.speed.networks import Counts, taught
from benchmarks.speed.turns import Times, low, microseconds, ratio, take_turns
from edge_app.colanet import kernels
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params

SHOWN = 16
"""Presentations that a job repeats."""
REPLAYED, REPLAY_CLASSES = 5000, 64

Progress = Callable[[str, Iterable[Any]], Iterable[Any]]


class Rotation:
    """Calls a function with one row after the other."""

    def __init__(self, call: Callable[[Any], Any], rows: Counts) -> None:
        self._call = call
        self._rows = [np.ascontiguousarray(row) for row in rows[:SHOWN]]
        self._next = 0

    def __call__(self) -> Any:
        # rows in turn: one row again and again would keep just its weights in the first cache
        self._next = (self._next + 1) % len(self._rows)
        return self._call(self._rows[self._next])


def measure_network(network: CoLaNET, counts: Counts, *, seconds: float = 1.0) -> dict[str, Any]:
    """Return times, rates and ratios of deciding and learning on a taught network, as JSON values.

    `presentation` is the compiled part of a decision without the ranking; `weights` is the pass over the weights alone.
    The time of a decision includes Python.
    """
    columns, label = network.columns, network.labels[0]
    neurons = columns.threshold.size
    order, filled = np.empty((kernels.T + 1, counts.shape[1]), np.int16), np.empty(kernels.T + 1, np.int64)
    sums = np.empty((kernels.T + 1, neurons), np.int32)
    first = np.ascontiguousarray(counts[0])

    def add_weights() -> None:
        kernels.count_sums(columns.weights, order, filled, 0, neurons, sums)

    kernels.group(first, order, filled)
    jobs = {
        "read": reader(columns.weights.nbytes),
        "decide": Rotation(network.predict_one, counts),
        "presentation": Rotation(columns.present, counts),
        "weights": add_weights,
        "learn": Rotation(lambda row: network.learn_one(row, label), counts),
    }
    times = take_turns(jobs, seconds=seconds)
    active = float((counts[:SHOWN] > 0).sum(axis=1).mean())
    return _figures(times, neurons, active, int((first > 0).sum()), columns.weights.nbytes)


def _figures(times: dict[str, Times], neurons: int, active: float, active_first: int, n_bytes: int) -> dict[str, Any]:
    # turn by turn, so that both sides of a ratio have the same other load
    a_byte = times["read"] / bytes_read(n_bytes)
    floor, floor_first = a_byte * active * neurons * 2, a_byte * active_first * neurons * 2
    return {
        "neurons": neurons,
        "active_inputs": active,
        "weight_bytes": n_bytes,
        "read_gb_per_s": 1 / low(a_byte) / 1e9,
        "floor_us": low(floor) * 1e6,
        "decide_us": microseconds(times["decide"]),
        "presentation_us": microseconds(times["presentation"]),
        "weights_us": microseconds(times["weights"]),
        "learn_us": microseconds(times["learn"]),
        "decide_to_floor": ratio(times["decide"], floor),
        "weights_to_floor": ratio(times["weights"], floor_first),
        "learn_to_decide": ratio(times["learn"], times["decide"]),
        "decisions_per_s": 1 / low(times["decide"]),
        "learnt_per_s": 1 / low(times["learn"]),
    }


def sizes(counts: Counts, progress: Progress, *, seconds: float = 1.5) -> dict[str, Any]:
    """Return `measure_network` of the networks in the targets, by name."""
    default, paper = Params.preset("default"), Params.preset("paper")
    wanted = {
        "10 classes": (default, 10),
        "64 classes": (default, 64),
        "1000 classes": (default, 1000),
        "10 classes, K = 7, E = 15": (paper, 10),
        "64 classes, K = 7, E = 15": (paper, 64),
        "KNP's: 10 classes, K = 20": (Params.preset("mnist"), 10),
        "200 classes": (default, 200),
    }
    found = {}
    for name, (params, classes) in progress("classifier", wanted.items()):
        found[name] = measure_network(taught(params, counts, classes), counts, seconds=seconds)
    return found


def replay(counts: Counts) -> dict[str, float]:
    """Return the seconds in which 5,000 stored examples of 64 classes are learnt anew, in the learner's chunks."""
    from edge_app.learner.replay import CHUNK

    rows = np.ascontiguousarray(counts[np.arange(REPLAYED) % len(counts)])
    labels = [f"class {row % REPLAY_CLASSES:04}" for row in range(REPLAYED)]
    network = taught(Params(), counts, REPLAY_CLASSES)
    start = perf_counter()
    for at in range(0, REPLAYED, CHUNK):
        network.learn_many(rows[at : at + CHUNK], labels[at : at + CHUNK])
    return {"examples": REPLAYED, "classes": REPLAY_CLASSES, "seconds": perf_counter() - start}


def curves(counts: Counts, progress: Progress, *, seconds: float = 0.25) -> dict[str, list[dict[str, float]]]:
    """Return decide and learn, in microseconds, over classes, K, E, inputs and active inputs."""
    default, paper = Params.preset("default"), Params.preset("paper")
    n = counts.shape[1]
    plans: dict[str, list[tuple[float, Params, Counts, int]]] = {
        "classes": [(classes, default, counts, classes) for classes in (1, 3, 10, 30, 100, 300, 1000)],
        "microcolumns": [(k, networks.decorrelated(k), counts, 10) for k in (1, 2, 4, 8, 16)],
        "members": [(e, replace(paper, members=e), counts, 10) for e in (1, 3, 7, 15)],
        "inputs": [(width, default, networks.of_width(counts, width), 64) for width in (160, 320, 640, n, 2 * n)],
        "active_inputs": [
            (share, default, networks.of_activity(counts, share), 64) for share in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
        ],
    }
    found: dict[str, list[dict[str, float]]] = {}
    for name, plan in plans.items():
        found[name] = []
        for value, params, shown, classes in progress(f"curve over {name}", plan):
            measured = measure_network(taught(params, shown, classes), shown, seconds=seconds)
            found[name].append(
                {
                    name: value,
                    "decide_us": measured["decide_us"]["p10"],
                    "learn_us": measured["learn_us"]["p10"],
                    "floor_us": measured["floor_us"],
                }
            )
    return found


def state_sizes(n_inputs: int = 1280) -> dict[str, Any]:
    """Return bytes of the saved network by classes, K and E, and what each adds."""

    def size(params: Params, classes: int) -> int:
        network = CoLaNET(params, n_inputs)
        for number in range(classes):
            network.add_class(f"class {number:04}")
        return len(network.snapshot())

    default, paper = Params.preset("default"), Params.preset("paper")
    classes = (1, 10, 64, 200)
    microcolumns, members = (1, 2, 4, 8), (1, 3, 7, 15)
    by_classes = [size(default, count) for count in classes]
    by_k = [size(networks.decorrelated(k), 10) for k in microcolumns]
    by_e = [size(replace(paper, members=e), 10) for e in members]
    return {
        "classes": {"x": classes, "bytes": by_classes, "bytes_each": _slope(classes, by_classes)},
        "microcolumns_of_10_classes": {"x": microcolumns, "bytes": by_k, "bytes_each": _slope(microcolumns, by_k)},
        "members_of_10_classes_K_7": {"x": members, "bytes": by_e, "bytes_each": _slope(members, by_e)},
    }


def _slope(x: tuple[int, ...], sizes_: list[int]) -> float:
    return (sizes_[-1] - sizes_[0]) / (x[-1] - x[0])
