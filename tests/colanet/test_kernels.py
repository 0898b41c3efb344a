"""Kernels at the size and the values where an integer would overflow first; Python's integers are the measure."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from edge_app.colanet import kernels
from edge_app.colanet.columns import Columns
from edge_app.colanet.decorrelated import NOISE_MAX, DecorrelatedColumns
from edge_app.colanet.fixedpoint import CORRECTION_MAX, DRIVE_MAX, POWER_TABLE, label_key, mix64, noise
from edge_app.colanet.kernels import ALL_STEPS, NEVER, ColumnActivity, Dynamics, T
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.colanet.published import PublishedColumns
from edge_app.colanet.reference import Column, DecorrelatedReference, Neuron, PublishedReference, dot, run_presentation
from edge_app.errors import ParameterError

LARGEST = 3276
"""Inputs that a network may have."""
TOP = 10 << 16


def full(value: int, *shape: int) -> np.ndarray:
    return np.full(shape, value, np.int32)


def signs(n: int) -> list[int]:
    random = Random(n)
    return [random.choice((-1, 1)) for _ in range(n)]


def test_the_largest_network_is_the_largest() -> None:
    for limit in (DecorrelatedColumns.weight_limit, PublishedColumns.weight_limit):
        Columns.check_size(LARGEST, limit)
        with pytest.raises(ParameterError, match="n_inputs = 3277 is out of range, expected 1 to 3276"):
            Columns.check_size(LARGEST + 1, limit)
    with pytest.raises(ParameterError, match="n_inputs = 0"):
        CoLaNET(Params(), 0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [10, 9, 1])
def test_potential_of_extreme_weights(sign: int, count: int) -> None:
    """All weights and the tonic inhibition at their limits, the drive of a step and the potential stay in int32."""
    limit, tonic = 32767, -sign * 10 * LARGEST * 32767
    weights, counts = np.full((LARGEST, 1), sign * limit, np.int16), np.full(LARGEST, count, np.uint8)
    sums, drive = np.empty((T + 1, 1), np.int32), np.empty((T, 1), np.int32)
    activity = ColumnActivity(*(np.empty((1, 1), np.int32) for _ in ColumnActivity._fields))
    threshold = full(2**31 - 1, 1)
    order, filled = np.empty((T + 1, LARGEST), np.int16), np.empty(T + 1, np.int64)
    kernels.group(counts, order, filled)
    kernels.count_sums(weights, order, filled, 0, 1, sums)
    steady = full(0, T, 1)
    kernels.spread_evenly(full(tonic, 1), steady)
    kernels.drives(sums, steady, 0, 1, drive)
    dynamics = Dynamics(leak=0, floor=NEVER, soft_reset=1, noise_bound=0, seed=0)
    scratch = np.empty(1, np.int64)
    kernels.integrate(drive, threshold, dynamics, np.zeros(1, np.int64), -1, 1, 0, 1, scratch, scratch.copy(), activity)
    neuron = Neuron([sign * limit] * LARGEST, threshold=2**31 - 1, tonic=tonic)
    trial = run_presentation([neuron], [count] * LARGEST, leak=0, floor=None, soft_reset=True, noise=lambda k, step: 0)
    assert activity.potential[0, 0] == trial.potential == sign * limit * LARGEST * count - tonic


@pytest.mark.parametrize("aligned", [True, False])
def test_trace_and_responses_at_the_edge(aligned: bool) -> None:
    pattern = [1] * LARGEST if aligned else signs(LARGEST)
    p = np.zeros((LARGEST, LARGEST), np.int32)
    p[0] = np.array(pattern) * (1 << 30)
    residual = np.array(pattern, np.int32) * TOP
    trace = full(0, LARGEST)
    totals = kernels.inhibit_and_decorrelate(p, full(0, LARGEST), residual, 0, kernels.folded(LARGEST))
    kernels.trace_of(totals, trace)
    assert totals[0] == LARGEST * TOP << 30
    assert trace[0] == DRIVE_MAX
    drive = np.array(pattern, np.int32) * DRIVE_MAX
    assert kernels.dot(drive, residual) == LARGEST * TOP * DRIVE_MAX


@pytest.mark.parametrize("regularisation", [64, 16000])
@pytest.mark.parametrize("uses", [1, 65535])
def test_loss_reward_and_scaled_trace_at_the_edge(regularisation: int, uses: int) -> None:
    n = LARGEST
    pattern = signs(n)
    trace = [sign * DRIVE_MAX for sign in pattern]
    residual = [sign * TOP for sign in pattern]
    twin = DecorrelatedReference(Params(), Decorrelated(regularisation=regularisation), 1)
    for response_sign in (1, -1):
        base, scale = kernels.divide_scale(np.array(residual), np.array(trace), regularisation, uses)
        assert (base, scale) == (
            (regularisation * (uses + 1) << 16) // uses,
            (regularisation * (uses + 1) << 16) // uses + (dot(residual, trace) >> 20),
        )
        for divisor in (int(base), int(scale)):
            drive = np.array([[response_sign * sign * DRIVE_MAX for sign in pattern]], np.int32)
            neuron = Neuron([], drive=drive[0].tolist())
            kernels.lose(drive, np.array(residual, np.int32), np.array(trace, np.int32), divisor, 0, 1)
            twin.lose(neuron, residual, trace, divisor)
            assert drive[0].tolist() == neuron.drive
            mean = full(10 << 24, n)
            expected = [
                max(min(v + (((int(base) << 32) // (divisor * (uses + 1)) * z + 2**31) >> 32), DRIVE_MAX), -DRIVE_MAX)
                for v, z in zip(drive[0].tolist(), trace, strict=True)
            ]
            counts = np.zeros(n, np.uint8)
            kernels.reward(drive[0], mean, np.array(trace, np.int32), counts, base, divisor, uses)
            assert drive[0].tolist() == expected
            assert mean.min() >= 0


def test_inhibition_saturates_instead_of_wrapping() -> None:
    twin = DecorrelatedReference(Params(), Decorrelated(), 3)
    p = np.array([[-(2**30), 2**30, 0], [2**30, -(2**30), 1], [0, 1, 2**30]], np.int32)
    twin.decorrelation = p.tolist()
    trace = [DRIVE_MAX, -DRIVE_MAX, 12345]
    scaled = full(0, 3)
    kernels.scale_trace(np.array(trace, np.int32), 1 << 16, scaled)
    fused = p.copy()
    kernels.inhibit(p, scaled)
    kernels.mirror(p)
    twin.inhibit(trace, 1 << 16)
    assert p.tolist() == twin.decorrelation
    assert p.min() == -(2**30)
    kernels.inhibit_and_decorrelate(fused, scaled, full(1, 3), 0, 1)
    assert np.triu(fused).tolist() == np.triu(p).tolist()


@pytest.mark.parametrize("noise", [0, 12345 << 16, NOISE_MAX])
def test_weights_of_extreme_means_and_drives(noise: int) -> None:
    """Also a neuron whose norm is next to nothing beside its drive, which no stream leads to."""
    n = LARGEST
    pattern = signs(n)
    drives = [
        [sign * DRIVE_MAX for sign in pattern],
        [-sign * DRIVE_MAX for sign in pattern],
        [DRIVE_MAX] + [0] * (n - 1),
    ]
    means = [[(5 + 5 * sign) << 24 for sign in pattern], [(5 - 5 * sign) << 24 for sign in pattern], [300] * n]
    corrections = [[sign * CORRECTION_MAX for sign in pattern], [700] * n, [0] * n]
    neurons = [
        Neuron([0] * n, mean=mean, drive=drive, correction=correction, uses=1)
        for mean, drive, correction in zip(means, drives, corrections, strict=True)
    ]
    rule = Decorrelated(resting_classes=1, threshold=1, noise=1)
    twin = _bare_twin(rule, n)
    twin.noise = noise
    twin.refresh_all([Column(str(i), 0, [[neuron]]) for i, neuron in enumerate(neurons)])
    weights, tonic, threshold = np.zeros((n, 3), np.int16), full(0, 3), full(0, 3)
    kernels.refresh_decorrelated(
        np.array(means, np.int32),
        np.array(drives, np.int32),
        np.array(corrections, np.int32),
        full(1, 3),
        1,
        1 << 16,
        noise,
        weights,
        tonic,
        threshold,
        np.empty(3, np.int64),
        np.empty((2, n), np.int64),
        np.empty((2, n), np.int16),
    )
    assert weights.T.tolist() == [neuron.weights for neuron in neurons]
    assert tonic.tolist() == [neuron.tonic for neuron in neurons]
    assert threshold.tolist() == [neuron.threshold for neuron in neurons]


def _bare_twin(rule: Decorrelated, n_inputs: int) -> DecorrelatedReference:
    twin = DecorrelatedReference(Params(), rule, 1)  # without n^2 integers, which this test does not need
    twin.n_inputs = n_inputs
    return twin


@pytest.mark.parametrize(
    "rule",
    [
        Published(threshold=2**16, excess=4, w_min=-7.9, w_max=7.9),
        Published(w_min=-(2**-10), w_max=2**-10, excess=0),
        Published(w_min=-7.9, w_max=0.01),
    ],
)
@pytest.mark.parametrize("resource", [2**31 - 1, -(2**31 - 1), 0])
def test_published_weights_stay_in_16_bits(rule: Published, resource: int) -> None:
    twin = PublishedReference(Params(plasticity=rule), rule, LARGEST)
    neuron = Neuron([], resource=[resource] * LARGEST)
    twin.refresh(neuron)
    columns = CoLaNET(Params(plasticity=rule), LARGEST).columns
    assert isinstance(columns, PublishedColumns)
    columns.add(1)
    columns.resource[:] = resource
    columns._refresh(slice(0, 1))
    assert columns.weights[:, 0].tolist() == neuron.weights
    assert columns.threshold[0] == neuron.threshold <= 2**31 - 1
    assert np.abs(columns.weights.astype(int)).max() <= PublishedColumns.weight_limit - 1


def test_root_is_exact() -> None:
    random = Random(0)
    for value in [0, 1, 2, 3, 4, 2**62, 2**62 - 1, *(random.randrange(2**62) for _ in range(2000))]:
        root = kernels.isqrt(value)
        assert root * root <= value < (root + 1) ** 2
    for root in [2**31, 2**31 - 1, 3037000499 // 2, *(random.randrange(2**31) for _ in range(2000))]:
        assert kernels.isqrt(root * root) == root
        assert kernels.isqrt(root * root - 1) == root - 1


def test_random_stream_is_the_one_that_is_stated() -> None:
    """SplitMix64's published first outputs for the seed 0 are mix64 of multiples of its increment."""
    golden = 0x9E3779B97F4A7C15
    assert [mix64(golden * n % 2**64) for n in (1, 2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    assert [int(kernels.mix64(np.uint64(golden * n % 2**64))) for n in (1, 2)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
    ]
    random = Random(0)
    for _ in range(500):
        arguments = (
            random.randrange(2**32),
            random.randrange(2**63),
            random.randrange(2**16),
            random.randrange(2**40),
            random.randrange(ALL_STEPS),
            random.randrange(1 << 22),
        )
        assert noise(*arguments) == kernels.noise(*arguments)


def test_noise_is_uniform_and_differs_between_neurons_steps_and_presentations() -> None:
    key, bound = label_key("cat"), 4096
    drawn = np.array(
        [[[noise(1, key, n, p, s, bound) for s in range(10)] for p in range(40)] for n in range(20)], np.int64
    )
    assert drawn.min() >= 0
    assert drawn.max() < bound
    assert abs(drawn.mean() - bound / 2) < 4 * bound / np.sqrt(12 * drawn.size)
    assert np.unique(drawn).size > 0.8 * 4096 * (1 - np.exp(-drawn.size / 4096))
    assert noise(1, key, 0, 0, 0, bound) != noise(2, key, 0, 0, 0, bound)


def test_spikes_are_laid_evenly_and_strong_inputs_start_first() -> None:
    for count in range(T + 1):
        steps = [step for step in range(T) if kernels.spikes_at(count, step)]
        assert len(steps) == count
        gaps = [after - before for before, after in pairwise(steps)]
        assert not gaps or max(gaps) - min(gaps) <= 1
    starts = [min(s for s in range(T) if kernels.spikes_at(count, s)) for count in range(1, T + 1)]
    assert starts == sorted(starts, reverse=True)
    assert starts[0] == 9
    assert starts[-1] == 0


def test_plasticity_falls_as_a_power_of_two() -> None:
    assert POWER_TABLE[0] == 65536
    assert [int(POWER_TABLE[64 * s]) for s in range(17)] == [65536 >> s for s in range(17)]
    assert kernels.plasticity(np.int64(2**31 - 1), POWER_TABLE) == 0


@pytest.mark.parametrize("soft_reset", [0, 1])
def test_neurons_alone_in_their_columns_run_as_all_others_do(soft_reset: int) -> None:
    random = np.random.default_rng(soft_reset)
    neurons = 37
    sums, steady = (random.integers(-1000, 1500, (rows, neurons), dtype=np.int32) for rows in (T + 1, T))
    threshold = random.integers(1, 4000, neurons, dtype=np.int32)
    dynamics = Dynamics(leak=0, floor=NEVER, soft_reset=soft_reset, noise_bound=0, seed=0)
    whole, alone = (ColumnActivity(*(full(-7, neurons, 1) for _ in ColumnActivity._fields)) for _ in range(2))
    drive = np.empty((T, neurons), np.int32)
    kernels.drives(sums, steady, 0, neurons, drive)
    scratch = np.empty(neurons, np.int64)
    kernels.integrate(
        drive, threshold, dynamics, np.zeros(neurons, np.int64), -1, 1, 0, neurons, scratch, scratch.copy(), whole
    )
    rows = [getattr(alone, name)[:, 0] for name in ("potential", "spikes", "first", "last", "excess")]
    for start, stop in ((0, 20), (20, neurons)):
        kernels.run_alone(sums, steady, threshold, soft_reset, start, stop, *rows)
    assert 0 < np.count_nonzero(whole.spikes) < neurons
    assert whole.spikes.max() > 2
    for name in ("potential", "spikes", "first", "last", "excess"):
        assert getattr(alone, name).tolist() == getattr(whole, name).tolist(), name


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
def test_one_pass_over_half_of_p_is_inhibition_and_product(n: int) -> None:
    """Also split into blocks, and for odd sizes, where a pair of rows has one and the middle pair has no partner."""
    random = np.random.default_rng(n)
    p = np.triu(random.integers(-(2**30), 2**30, (n, n), dtype=np.int32))
    scaled = random.integers(-(2**30) + 1, 2**30, n, dtype=np.int32)
    residual = random.integers(-TOP, TOP, n, dtype=np.int32)
    exact = [
        [int(p[min(i, j), max(i, j)]) - (int(scaled[i]) * int(scaled[j]) + 2**29 >> 30) for j in range(n)]
        for i in range(n)
    ]
    exact = [[max(min(value, 2**30), -(2**30)) for value in row] for row in exact]
    product = [dot(row, residual.tolist()) for row in exact]
    for split in range(kernels.folded(n) + 1):
        fused = p.copy()
        totals = kernels.inhibit_and_decorrelate(fused, scaled, residual, 0, split)
        totals += kernels.inhibit_and_decorrelate(fused, scaled, residual, split, kernels.folded(n))
        assert totals.tolist() == product
        kernels.mirror(fused)
        assert fused.tolist() == exact
