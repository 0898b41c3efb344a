"""The ordinary network of events: its first layer, its statistics, and what it hands to the conversion."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the environment of `make events-encoder`")

from calibration.events.training import adapt, arrays_of, hear_two_colours, unspiked  # noqa: E402
from calibration.spiking.network import (  # noqa: E402
    Architecture,
    SourceNetwork,
    SpikingTwin,
    normalised,
    seeded_arrays,
)
from edge_app.events.drawing import draw  # noqa: E402

ARCHITECTURE = Architecture(
    stem=8, stages=((1, 3, 1, 1, 6), (2, 3, 2, 3, 12), (2, 5, 2, 2, 16)), head=32, size=32, sigma=1.0
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def networks() -> tuple[SourceNetwork, SpikingTwin]:
    arrays = seeded_arrays(ARCHITECTURE, 0)
    network = SpikingTwin(arrays, ARCHITECTURE, [1] * len(arrays))
    network.spike = unspiked
    return SourceNetwork(arrays, ARCHITECTURE), network


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_without_spikes_it_is_the_source() -> None:
    source, network = networks()
    x = normalised(pictures(3, 0))
    with torch.no_grad():
        assert torch.allclose(network.run(x), source.run(x), atol=1e-5)


def test_the_first_layer_hears_on_as_lighter_and_off_as_darker() -> None:
    source, network = networks()
    hear_two_colours(network)
    counts = np.zeros((2, 32, 32), np.int16)
    counts[0, 16:, 10:20] = 1
    with torch.no_grad():
        silent = network.drive(normalised(draw(0 * counts, "red-blue")[None]), 0)
        on, off = (
            network.drive(normalised(draw(one, "red-blue")[None]), 0) - silent for one in (counts, counts[::-1].copy())
        )
        lighter = torch.zeros((1, 3, 32, 32))
        lighter[:, :, 16:, 10:20] = 1
        wanted = source.drive(lighter, 0) - source.drive(torch.zeros_like(lighter), 0)
    assert torch.allclose(on, -off, atol=1e-5)
    assert float(torch.nn.functional.cosine_similarity(on.flatten(), wanted.flatten(), dim=0)) > 0.999


def test_adapted_channels_have_the_sources_mean_and_deviation() -> None:
    source, network = networks()
    shown, seen = pictures(24, 1), pictures(24, 2) // 3
    adapt(source, network, normalised(shown), normalised(seen))
    with torch.no_grad():
        wanted, given = source.drive(normalised(shown), 0), network.drive(normalised(seen), 0)
        assert torch.allclose(given.mean((0, 2, 3)), wanted.mean((0, 2, 3)), atol=1e-3)
        assert torch.allclose(given.std((0, 2, 3)), wanted.std((0, 2, 3)), rtol=1e-3)
        last = source.units[-1].layers[0]
        before = [net.run(normalised(one), 0, -1) for net, one in ((source, shown), (network, seen))]
        ends = [net.drive(x, last).mean((0, 2, 3)) for net, x in zip((source, network), before, strict=True)]
        assert torch.allclose(*ends, atol=1e-3)


def test_a_channel_without_statistics_is_not_blown_up() -> None:
    source, network = networks()
    flat = np.full((8, 32, 32, 3), 90, np.uint8)
    before = network.kernels[0].detach().clone()
    adapt(source, network, normalised(pictures(8, 1)), normalised(flat))
    assert float((network.kernels[0].detach() / before).abs().max()) <= 4.001


def test_a_conversion_begins_with_the_trained_arrays() -> None:
    _, network = networks()
    network.normalise()
    with torch.no_grad():
        network.kernels[3].mul_(1.5)
    x = normalised(pictures(2, 5))
    with torch.no_grad():
        assert torch.allclose(SourceNetwork(arrays_of(network), ARCHITECTURE).run(x), network.run(x), atol=1e-4)
