"""Streaming: trajectories by hand, rates that tend to the phased counts, spikes taken back."""

from dataclasses import replace

import numpy as np
import pytest

from edge_app.spiking.network import PICTURE, SpikingNetwork
from edge_app.spiking.phased import present
from edge_app.spiking.streaming import Stream
from support.tiny_spiking import layer, picture, spiking_network


def two_neurons(drive: int, weight: int) -> SpikingNetwork:
    """One place: a stem neuron of drive / 7 spikes in 4 steps, a second of threshold 3 behind it, and the readout."""
    stem = replace(
        layer("stem", PICTURE, 3, 1, seed=0, kernel=8, top=4, padding="valid"),
        weights=np.zeros((1, 8, 8, 3), np.int8),
        bias=np.array([drive], np.int32),
        thresholds=np.array([7], np.int32),
    )
    second = replace(
        layer("second", 0, 1, 1, seed=0, top=4),
        weights=np.full((1, 1, 1, 1), weight, np.int8),
        bias=np.array([2], np.int32),
        thresholds=np.array([3], np.int32),
    )
    readout = replace(second, name="readout", source=1, high=255, weights=np.full((1, 1, 1, 1), 5, np.int8))
    return SpikingNetwork(8, 127, (stem, second, readout))


def trains(network: SpikingNetwork, ticks: int, *, take_back: bool) -> list[list[int]]:
    stream = Stream(network, picture(0, 8), take_back=take_back)
    fired = [stream.tick() for _ in range(ticks)]
    return [[int(spikes[index].item()) for spikes in fired] for index in range(2)]


def test_a_trajectory_by_hand() -> None:
    """Stem: 14 a tick from 14, threshold 28: every second tick. Second: 4 * 1 * spike + 2, threshold 12."""
    stem, second = trains(two_neurons(14, 1), 8, take_back=False)
    assert stem == [1, 0, 1, 0, 1, 0, 1, 0]
    # V = 6 + [6, 8, 2+6=..]: 12 -> spike, 0; 2; 8; 10; 16 -> spike, 4; 6; 12 -> spike, 0; 2
    assert second == [1, 0, 0, 0, 1, 0, 1, 0]


def test_a_spike_is_taken_back_when_later_inputs_speak_against_it() -> None:
    """The bias lets the second neuron fire before the inhibition that the slower stem sends has arrived."""
    network = two_neurons(7, -9)
    second = replace(network.layers[1], bias=np.array([7], np.int32))
    network = replace(network, nodes=(network.nodes[0], second, network.nodes[2]))
    kept = trains(network, 12, take_back=False)[1]
    taken = trains(network, 12, take_back=True)[1]
    assert min(kept) == 0
    assert min(taken) == -1
    counts = np.cumsum(taken)
    assert counts.min() >= 0
    assert present(network, picture(0, 8)).counts[1].item() == 0
    assert counts[-1] < np.sum(kept)


@pytest.mark.parametrize("seed", range(3))
def test_rates_tend_to_the_phased_counts(seed: int) -> None:
    network, shown = spiking_network(seed, top=8), picture(seed)
    counts = present(network, shown).counts[0]
    stream = Stream(network, shown)
    for _ in range(400):
        stream.tick()
    np.testing.assert_allclose(8 * stream.counts[0] / 400, counts, atol=0.55)


def test_the_embedding_comes_close_with_time() -> None:
    errors = np.zeros(2, int)
    for seed in range(4):
        network, shown = spiking_network(seed, top=8), picture(seed)
        wanted = present(network, shown).embedding.astype(int)
        stream = Stream(network, shown)
        assert not stream.embedding().any()
        for tick in range(1, 129):
            stream.tick()
            if tick in (2, 128):
                errors[int(tick == 128)] += np.abs(stream.embedding().astype(int) - wanted).sum()
        assert stream.ticks == 128
        assert stream.operations > 0
        assert stream.fired[0] > 0
    assert errors[1] < errors[0]
