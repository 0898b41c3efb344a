"""Conversion and distillation on a tiny network: what is learnt, resumed runs, two processes, packed integers."""

import socket
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the environment of `make spiking-encoder`")

from calibration.spiking import distil  # noqa: E402
from calibration.spiking.convert import convert, least_error_step  # noqa: E402
from calibration.spiking.integers import integers, quantised  # noqa: E402
from calibration.spiking.network import (  # noqa: E402
    Architecture,
    SourceNetwork,
    SpikingTwin,
    normalised,
    pooled,
    pooling_weights,
    seeded_arrays,
    spike,
)
from calibration.spiking.pack import pack  # noqa: E402
from edge_app.spiking.phased import present  # noqa: E402
from edge_app.spiking.reading import read_network  # noqa: E402

ARCHITECTURE = Architecture(
    stem=8, stages=((1, 3, 1, 1, 6), (2, 3, 2, 3, 12), (2, 5, 2, 2, 16)), head=32, size=32, sigma=1.0
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def networks(top: int = 8) -> tuple[SourceNetwork, SpikingTwin]:
    arrays = seeded_arrays(ARCHITECTURE, 0)
    return SourceNetwork(arrays, ARCHITECTURE), SpikingTwin(arrays, ARCHITECTURE, [top] * len(arrays))


def run(folder: Path, steps: int, **options: float) -> distil.Distillation:
    source, twin = networks(4)
    convert(source, twin, normalised(pictures(12, 1)))
    made = torch.Generator().manual_seed(3)
    head = torch.randn((10, 32), generator=made), torch.zeros(10)

    def views(step: int, places: range) -> tuple[torch.Tensor, torch.Tensor]:
        shown = normalised(np.concatenate([pictures(1, 1000 * step + place) for place in places]))
        return shown, shown

    recipe = distil.Recipe(**{"steps": steps, "batch": 4, "branches": (0, 2), "rate": 3e-3} | options)  # type: ignore[arg-type]
    return distil.Distillation(source, head, twin, recipe, views, folder)


def state(run: distil.Distillation) -> bytes:
    return b"".join(parameter.detach().contiguous().numpy().tobytes() for parameter in run.parameters)


def test_the_conversion_brings_the_embedding_close() -> None:
    source, twin = networks(15)
    x = normalised(pictures(16, 7))
    with torch.no_grad():
        wanted = pooled(source.run(x), ARCHITECTURE)
        before = torch.nn.functional.cosine_similarity(pooled(twin.run(x), ARCHITECTURE), wanted).mean()
        convert(source, twin, normalised(pictures(24, 1)))
        after = torch.nn.functional.cosine_similarity(pooled(twin.run(x), ARCHITECTURE), wanted).mean()
    assert after > before
    assert after > 0.97


def test_a_step_of_least_error_is_better_than_its_neighbours() -> None:
    samples = torch.randn((5, 4000), generator=torch.Generator().manual_seed(0)).abs() ** 2
    step = least_error_step(samples, 7, signed=False)

    def error(step: torch.Tensor) -> torch.Tensor:
        values = samples.clamp(0, 6)
        return ((values / step[:, None]).round().clamp(0, 7) * step[:, None] - values).square().sum(1)

    assert torch.all(error(step) <= error(step * 1.2))
    assert torch.all(error(step) <= error(step / 1.2))


def test_the_gradient_of_a_spike_is_straight_through_and_lsqs() -> None:
    drive = torch.tensor([-1.0, 0.6, 1.6, 9.0]).reshape(1, 1, 1, 4).requires_grad_()
    step = torch.tensor([1.0], requires_grad=True)
    values = spike(drive, step, torch.zeros(()), torch.tensor(4.0))
    assert values.flatten().tolist() == [0.0, 1.0, 2.0, 4.0]
    by_drive, by_step = torch.autograd.grad(values.sum(), (drive, step))
    assert by_drive.flatten().tolist() == [0.0, 1.0, 1.0, 0.0]
    # inside: count - drive / step; above: T; below: 0
    assert by_step.item() == pytest.approx((1 - 0.6) + (2 - 1.6) + 4, abs=1e-5)


def test_the_loss_falls(tmp_path: Path) -> None:
    """On the same few pictures again and again; the noise of rounding is what is left."""
    made = run(tmp_path, 60, rate=1e-2, step_rate=1e-2)
    made.views = lambda step, places: 2 * (normalised(pictures(4, 77)[list(places)]),)
    losses = list(made.run())
    assert np.mean(losses[-10:]) < 0.95 * np.mean(losses[:10])


def test_a_resumed_run_gives_the_bytes_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 6)
    list(whole.run())
    first = run(tmp_path / "parts", 6)
    for _ in range(3):
        first.step()
    first.save()
    second = run(tmp_path / "parts", 6)
    second.resume()
    assert second.state.step == 3
    list(second.run())
    assert state(second) == state(whole)
    assert second.state.losses == whole.state.losses


def _worker(rank: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    made = run(Path(folder) / "two", 3)
    for _ in range(3):
        made.step()
    (Path(folder) / f"{rank}.bytes").write_bytes(state(made))
    torch.distributed.destroy_process_group()


def test_a_cycle_that_is_added_gives_the_bytes_of_one_that_was_asked_for_at_once(tmp_path: Path) -> None:
    whole = run(tmp_path / "a", 3, cycles=2)
    assert len(list(whole.run())) == 6
    assert len(list(run(tmp_path / "b", 3).run())) == 3
    longer = run(tmp_path / "b", 3, cycles=2)
    longer.resume()
    assert longer.state.step == 3
    list(longer.run())
    assert state(longer) == state(whole)


def test_two_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    one = run(tmp_path / "one", 3)
    for _ in range(3):
        one.step()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_worker, args=(port, str(tmp_path)), nprocs=2)
    assert [(tmp_path / f"{rank}.bytes").read_bytes() for rank in range(2)] == [state(one)] * 2


@pytest.mark.parametrize("options", [{"apart": True}, {"hybrid": 0.0, "maps": 0.0}, {"kl": 0.0}, {"operations": 1.0}])
def test_every_loss_trains_the_kernels(options: dict[str, float], tmp_path: Path) -> None:
    made = run(tmp_path, 2, **options)
    before = state(made)
    list(made.run())
    assert state(made) != before
    assert np.isfinite(made.state.losses).all()


def test_a_weight_on_operations_brings_them_down(tmp_path: Path) -> None:
    found = []
    for weight in (0.0, 3.0):
        made = run(tmp_path, 30, operations=weight)
        list(made.run())
        cost = distil.SynapticCost(made.network)
        with torch.no_grad():
            made.network.run(normalised(pictures(8, 5)))
        found.append(float(cost.close()))
    assert found[1] < 0.9 * found[0]


@pytest.mark.parametrize("top", [4, 15])
def test_the_packed_integers_count_as_the_trained_network(top: int) -> None:
    source, twin = networks(top)
    convert(source, twin, normalised(pictures(12, 1)))
    twin.normalise()
    network, scale = integers(twin)
    read = read_network(pack(network, scale))
    shown = pictures(4, 9)
    with torch.no_grad():
        wanted = pooled(twin.run(normalised(shown)), ARCHITECTURE).numpy()
    found = np.stack([present(read, picture).embedding for picture in shown]) * scale
    similar = (wanted * found).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(found, axis=1)
    assert similar.min() > 0.97
    assert found.max() < 255 * scale


def test_thresholds_are_odd_and_the_weights_use_the_whole_of_int8() -> None:
    exact = np.random.default_rng(0).normal(size=(50, 30)) * np.logspace(-3, 1, 50)[:, None]
    weights, thresholds = quantised(exact, 31)
    assert np.all(thresholds % 2 == 1)
    assert np.all(np.abs(weights.astype(int)).max(axis=1) >= 60)
    fine = thresholds > 100
    np.testing.assert_allclose(
        (weights / thresholds[:, None])[fine], exact[fine], atol=0.01 * np.abs(exact[fine]).max()
    )


def test_the_pooling_weights_of_a_smaller_map_sum_to_1() -> None:
    for side in (2, 4):
        assert pooling_weights(ARCHITECTURE, side).sum() == pytest.approx(1)
    assert pooling_weights(Architecture(sigma=None), 7)[0, 0] == pytest.approx(1 / 49)
