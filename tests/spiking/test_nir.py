"""NIR: the graph is written, read back and run phase by phase by definition; the counts are the network's."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.kernels import spikes_at, spread_evenly
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS, Params
from edge_app.errors import InputError
from edge_app.spiking import nir as export
from edge_app.spiking.phased import present
from support.tiny_spiking import picture, spiking_network

nir = pytest.importorskip("nir", reason="NIR export needs the extra nir")


def convolved(node: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """NIR's Conv2d by its definition: (channels, height, width), symmetric padding."""
    pad, stride, groups = int(np.max(node.padding)), int(np.max(node.stride)), int(node.groups)
    padded = np.pad(values, ((0, 0), (pad, pad), (pad, pad)))
    out, wide, rows, columns = node.weight.shape
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    total = np.zeros((out, height, width))
    for channel in range(out):
        first = channel * groups // out * wide
        for y in range(height):
            for x in range(width):
                window = padded[first : first + wide, y * stride : y * stride + rows, x * stride : x * stride + columns]
                total[channel, y, x] = (window * node.weight[channel]).sum() + node.bias[channel]
    return total


def run(graph: Any, current: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Run each population for its steps, all its input in the first; return counts, signed where there are rails."""
    heard: dict[str, list[str]] = defaultdict(list)
    for source, sink in graph.edges:
        heard[sink].append(source)
    spikes = {export.INPUT: current}
    counts = {}
    waiting = [name for name, node in graph.nodes.items() if isinstance(node, nir.IF)]
    while waiting:
        ready = [name for name in waiting if all(source in spikes for source in heard[f"{name}.synapses"])]
        for name in ready:
            node = graph.nodes[name]
            arrived = np.sum([spikes[source] for source in heard[f"{name}.synapses"]], axis=0)
            potential = convolved(graph.nodes[f"{name}.synapses"], arrived)
            fired = np.zeros(potential.shape, np.int64)
            for _ in range(int(node.metadata["steps"])):
                spike = potential >= node.v_threshold
                potential -= node.v_threshold * spike
                fired += spike
            spikes[name] = fired.astype(np.float64)
            half = len(fired) // 2
            counts[name] = fired[:half] - fired[half:] if node.metadata["rails"] == 2 else fired
            waiting.remove(name)
    return counts


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_back_counts_as_the_network_does(seed: int, tmp_path: Path) -> None:
    network = spiking_network(seed, top=6)
    export.write(network, tmp_path / "tiny.nir")
    graph = nir.read(str(tmp_path / "tiny.nir"), type_check=False)
    shown = picture(seed)
    counts = run(graph, (shown.astype(float) - network.offset).transpose(2, 0, 1))
    wanted = present(network, shown)
    for node, expected in zip(network.nodes, wanted.counts, strict=True):
        if node.name in counts:
            np.testing.assert_array_equal(counts[node.name].transpose(1, 2, 0), expected, err_msg=node.name)
    assert len(counts) == len(network.layers)


def test_the_classifiers_graph_decides_as_the_classifier() -> None:
    network = CoLaNET(Params(), 24)
    random = np.random.default_rng(0)
    prototypes = random.integers(0, 11, (4, 24))
    shown = [np.clip(one + random.integers(-2, 3, 24), 0, 10).astype(np.uint8) for one in prototypes for _ in range(8)]
    for label in "abcd":
        network.add_class(label)
    for index, counts in enumerate(shown):
        network.learn_one(counts, "abcd"[index // 8])
    columns = network.columns
    steady = np.zeros((INPUT_STEPS, 4), np.int32)
    spread_evenly(columns.tonic, steady)
    graph = export.classifier_graph(columns.weights, columns.threshold, steady, INPUT_STEPS + SILENT_STEPS)
    synapses, neurons = graph.nodes["columns.synapses"], graph.nodes["columns"]
    for counts in shown:
        potential, spikes = np.zeros(4, np.float32), np.zeros(4, int)
        for step in range(int(neurons.metadata["steps"])):
            arrived = [step < INPUT_STEPS and spikes_at(int(count), step) for count in counts]
            arrived += [step == clock for clock in range(INPUT_STEPS)]
            potential += synapses.weight @ np.array(arrived, np.float32) + synapses.bias
            fired = potential > neurons.v_threshold
            potential -= neurons.v_threshold * fired
            spikes += fired
        np.testing.assert_array_equal(spikes, network.predict_one(counts).spikes)


def test_soft_reset_is_said_in_the_metadata() -> None:
    graph = export.graph_of(spiking_network(0, top=6))
    assert graph.nodes["head"].metadata == {"reset": "subtract", "schedule": "phased", "steps": 6, "rails": 1}
    assert graph.nodes["project 0"].metadata["rails"] == 2


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/tiny\.nir cannot be written"):
        export.write(spiking_network(0), tmp_path / "nowhere" / "tiny.nir")
