"""The small network of the claims: gradients through time and by rates."""

import pytest

torch = pytest.importorskip("torch", reason="needs the environment of `make spiking-encoder`")

from calibration.spiking.claims import SLOPES, KeptBytes  # noqa: E402
from calibration.spiking.small import HALF, SmallNetwork, surrogate  # noqa: E402


def picture() -> "torch.Tensor":
    return torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_both_ways_count_the_same_spikes() -> None:
    network = SmallNetwork(5, 0)
    with torch.no_grad():
        torch.testing.assert_close(network.through_time(picture(), 6), network.by_rates(picture(), 6))


def test_both_ways_hear_each_step_of_a_stream() -> None:
    network = SmallNetwork(5, 0, 2)
    stream = 4 * torch.rand((2, 6, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        heard = network.by_rates(stream, 6)
        torch.testing.assert_close(network.through_time(stream, 6), heard)
        assert not torch.equal(network.by_rates(stream.flip(1), 6), heard)
    with pytest.raises(ValueError, match="a stream of 6 steps, expected 8"):
        network.by_rates(stream, 8)


@pytest.mark.parametrize("way", ["through_time", "by_rates"])
def test_a_stream_of_equal_steps_is_a_constant_input(way: str) -> None:
    network = SmallNetwork(5, 0)
    found = []
    for x in (picture(), picture()[:, None].expand(-1, 4, -1, -1, -1)):
        logits = getattr(network, way)(x, 4)
        found.append((logits, *torch.autograd.grad(logits.square().sum(), list(network.parameters()))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


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


def test_the_hard_tanh_is_about_the_rate_of_a_neuron() -> None:
    """A neuron with a constant current, over 8 steps; the tanh with the last slope of the claim's training."""
    network = SmallNetwork(1, 0)
    with torch.no_grad():
        # the logit is then the mean rate of the last layer
        network.head.fill_(1 / 1280)
        for kernel in network.kernels:
            kernel.zero_()
        for drive, spikes in ((0.1, 0), (0.3, 2), (HALF, 4), (0.8, 6), (1.0, 8), (1.5, 8)):
            for bias in network.biases:
                bias.fill_(drive)
            assert network.by_rates(picture(), 8).flatten().tolist() == pytest.approx([spikes / 8] * 2)
            tanh = network.sharpened(picture(), SLOPES[1]).flatten().tolist()
            assert tanh == pytest.approx([spikes / 8] * 2, abs=0.06)


def test_a_surrogate_is_a_triangle() -> None:
    assert surrogate(torch.tensor([0.0, 0.5, 1.0, 2.5])).tolist() == [0.0, 0.5, 1.0, 0.0]
