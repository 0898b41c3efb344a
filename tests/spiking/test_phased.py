"""TFLite's tensors, the simulation and the plain-Python reference hold the same counts, neuron by neuron."""

from dataclasses import replace

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.spiking.convolution import drive, synapses
from edge_app.spiking.energy import activity, most_spikes
from edge_app.spiking.network import PICTURE, SUM_HIGH, Layer, SpikingNetwork, Sum
from edge_app.spiking.phased import fire, present, steps
from edge_app.spiking.reading import read_network
from edge_app.spiking.reference import Reference
from support.tiny_spiking import SIZE, layer, picture, spiking_network, tensors

pack = pytest.importorskip("calibration.spiking.pack", reason="packing a graph needs ai-edge-litert").pack


def assert_alike(network: SpikingNetwork, seed: int) -> None:
    """Runtime, simulation and reference, each node's counts."""
    content = pack(network, 0.02)
    shown = picture(seed)
    runtime = tensors(content, shown)
    read = read_network(content)
    simulated = present(read, shown)
    reference = Reference(read, shown.tolist())
    for node, counts, plain in zip(read.nodes, simulated.counts, reference.counts, strict=True):
        np.testing.assert_array_equal(runtime[node.name], counts, err_msg=node.name)
        found = np.array([plain[place] for place in sorted(plain)]).reshape(counts.shape)
        np.testing.assert_array_equal(found, counts, err_msg=node.name)
    np.testing.assert_array_equal(simulated.embedding, runtime["pool"].reshape(-1))


@pytest.mark.parametrize("top", [1, 4, 15, 31])
@pytest.mark.parametrize("seed", range(3))
def test_runtime_simulation_and_reference_count_alike(seed: int, top: int) -> None:
    assert_alike(spiking_network(seed, top=top), seed)


@pytest.mark.parametrize("top", [7, 15])
def test_drives_next_to_a_tie_round_alike(top: int) -> None:
    """The weight is (threshold +- 1) / 2: one spike's drive is as near to half a threshold as an odd one allows."""
    network = spiking_network(5, top=top)
    nodes = list(network.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node, Layer) and node.source != PICTURE and node.name != "pool":
            signs = np.where(np.arange(node.weights.size) % 2, -1, 1).reshape(node.weights.shape)
            weights = ((253 + signs) // 2).astype(np.int8)
            thresholds = np.full(node.channels, 253, np.int32)
            bias = np.where(np.arange(node.channels) % 2, -126, 0).astype(np.int32)
            nodes[index] = replace(node, weights=weights, thresholds=thresholds, bias=bias)
    assert_alike(replace(network, nodes=tuple(nodes)), 5)


def test_large_thresholds_round_alike() -> None:
    """Up to the largest that the packing accepts, drives one below and one above each half."""
    top, threshold = 15, 65_535
    stem = replace(
        layer("stem", PICTURE, 3, 8, seed=1, kernel=3, stride=2, top=top), thresholds=np.full(8, threshold, np.int32)
    )
    near = [(2 * k + 1) * threshold // 2 for k in range(8)]
    bias = np.array(near, np.int32) + np.tile([0, 1], 4).astype(np.int32)
    network = SpikingNetwork(
        SIZE,
        127,
        (
            replace(stem, bias=bias, weights=np.sign(stem.weights).astype(np.int8)),
            layer("pool", 0, 0, 8, seed=2, kernel=6, top=255, thresholds=(3, 9), padding="valid"),
        ),
    )
    assert_alike(network, 3)


def test_saturated_sums_stay_within_int8() -> None:
    chain = [layer("stem", PICTURE, 3, 3, seed=1, kernel=3, stride=2, top=15)]
    first = replace(
        layer("project 0", 0, 3, 3, seed=2, top=100, signed=True),
        bias=np.array([30_000, -30_000, 10], np.int32),
        thresholds=np.full(3, 3, np.int32),
    )
    network = SpikingNetwork(
        SIZE,
        127,
        (
            *chain,
            first,
            replace(first, name="project 1"),
            Sum("sum", (1, 2)),
            layer("pool", 3, 0, 3, seed=3, kernel=6, top=255, thresholds=(3, 9), padding="valid"),
        ),
    )
    counts = present(network, picture(0)).counts[3]
    assert counts[..., 0].max() == SUM_HIGH
    assert counts[..., 1].min() == -SUM_HIGH - 1
    assert_alike(network, 0)


def test_soft_reset_gives_the_rounded_quotient() -> None:
    """Every drive from far below to far above the bounds."""
    one = replace(
        layer("one", PICTURE, 3, 1, seed=0, top=4), thresholds=np.array([5], np.int32), bias=np.zeros(1, np.int32)
    )
    drives = np.arange(-60, 61).reshape(-1, 1, 1)
    np.testing.assert_array_equal(fire(one, drives).ravel(), np.clip(np.rint(drives.ravel() / 5), 0, 4))
    signed = replace(one, low=-4)
    np.testing.assert_array_equal(fire(signed, drives).ravel(), np.clip(np.rint(drives.ravel() / 5), -4, 4))
    assert [int(step[60 + 12, 0, 0]) for step in steps(one, drives)] == [1, 1, 0, 0]


def test_operations_are_counted_by_hand() -> None:
    """2 x 2 places, one layer of three neurons whose weights are 0 now and then."""
    stem = replace(
        layer("stem", PICTURE, 3, 2, seed=0, stride=2, top=3),
        weights=np.zeros((2, 1, 1, 3), np.int8),
        bias=np.array([2 * 7, 3 * 7], np.int32),
        thresholds=np.full(2, 7, np.int32),
    )
    second = replace(
        layer("second", 0, 2, 3, seed=1, top=3),
        weights=np.array([[1, 0], [-1, 5], [0, 0]], np.int8).reshape(3, 1, 1, 2),
        bias=np.zeros(3, np.int32),
        thresholds=np.full(3, 1, np.int32),
    )
    network = SpikingNetwork(4, 127, (stem, second))
    found = activity(network, present(network, picture(0, 4)))
    assert found.layers[0].spikes == 4 * (2 + 3)
    assert found.layers[0].macs == 4 * 2 * 3 == found.current_macs
    # channel 0 fires 2 spikes into 2 weights, channel 1 fires 3 into 1, at 4 places
    assert found.layers[1].effective == 4 * (2 * 2 + 3 * 1)
    assert found.layers[1].macs == 4 * 6
    assert found.layers[1].dense == 4 * 6 * 3
    # neurons: 2 spikes, then round(3 * 5 - 2) = 13 clipped to 3, then none
    assert found.layers[1].spikes == 4 * (2 + 3 + 0)


@pytest.mark.parametrize("seed", range(3))
def test_operations_equal_those_that_the_reference_carries_out(seed: int) -> None:
    network = spiking_network(seed)
    shown = picture(seed)
    reference = Reference(network, shown.tolist())
    for found in activity(network, present(network, shown)).layers[1:]:
        assert found.effective == reference.operations[found.name], found.name


def test_synapses_into_the_padding_do_not_count() -> None:
    one = layer("one", PICTURE, 3, 2, seed=0, kernel=3)
    assert synapses(one, 4, 4) == 2 * 3 * sum(r * c for r in (2, 3, 3, 2) for c in (2, 3, 3, 2))
    assert drive(one, np.zeros((4, 4, 3), np.int32)).shape == (4, 4, 2)


def test_a_sum_hands_on_the_spikes_of_all_its_layers() -> None:
    network = spiking_network(0, top=5)
    assert most_spikes(network, 6) == 10


def test_another_picture_than_the_networks_is_refused() -> None:
    with pytest.raises(InputError, match=r"picture is uint8 \(4, 4, 3\), expected uint8 \(12, 12, 3\)"):
        present(spiking_network(), picture(0, 4))
