"""The small network of the claims: gradients through time and by rates."""

import pytest

torch = pytest.importorskip("torch", reason="needs the environment of `make spiking-encoder`")

from calibration.spiking.claims import KeptBytes  # noqa: E402
from calibration.spiking.small import SmallNetwork, surrogate  # noqa: E402


def picture() -> "torch.Tensor":
    return torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_both_ways_count_the_same_spikes() -> None:
    network = SmallNetwork(5, 0)
    with torch.no_grad():
        torch.testing.assert_close(network.through_time(picture(), 6), network.by_rates(picture(), 6))


def test_at_one_step_both_ways_have_the_same_gradients() -> None:
    network = SmallNetwork(5, 0)
    found = [
        torch.autograd.grad(way(picture(), 1).square().sum(), list(network.parameters()))
        for way in (network.through_time, network.by_rates)
    ]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_what_the_graph_keeps_grows_with_time_or_does_not() -> None:
    network = SmallNetwork(5, 0)
    kept = {}
    for name in ("through_time", "by_rates"):
        for steps in (4, 16):
            found = KeptBytes()
            with torch.autograd.graph.saved_tensors_hooks(found.pack, lambda tensor: tensor):
                getattr(network, name)(picture(), steps)
            kept[name, steps] = found.total
    assert kept["by_rates", 16] == kept["by_rates", 4]
    assert kept["through_time", 16] > 2 * kept["through_time", 4]


def test_a_hard_tanh_becomes_a_step() -> None:
    network = SmallNetwork(5, 0)
    with torch.no_grad():
        torch.testing.assert_close(network.sharpened(picture(), 1e9), network.sharpened(picture(), None))
        torch.testing.assert_close(network.sharpened(picture(), None), network.through_time(picture(), 1))
    assert surrogate(torch.tensor([0.0, 0.5, 1.0, 2.5])).tolist() == [0.0, 0.5, 1.0, 0.0]
