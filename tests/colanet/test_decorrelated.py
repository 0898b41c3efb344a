"""Each part of the decorrelated rule does what it says: every test fails when its part is switched off.

The measure is the batch form in floating point: what the columns should hold follows from the examples alone.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params
from support.twins import around, as_counts, lehmer, prototypes

N = 12
Floats = NDArray[np.float64]


def taught(presentations: int = 60, microcolumns: int = 1, classes: int = 3, **rule: Any) -> tuple[CoLaNET, list]:
    """A network after a stream of noisy prototypes, and the stream as (counts, class number).

    Noise stays in norms, first examples inhibit nothing, and nothing is corrected, unless asked for.
    """
    plasticity = Decorrelated(**{"regularisation": 100, "noise": 0, "novelty": 0, "correction": 0, **rule})
    net = CoLaNET(Params(microcolumns=microcolumns, plasticity=plasticity), N)
    numbers, patterns = lehmer(3), prototypes(4, classes, N)
    data = []
    for label in range(classes):
        net.add_class(str(label))
    for n in range(presentations):
        counts = as_counts(around(patterns[n % classes], numbers, spread=3))
        net.learn_one(counts, str(n % classes))
        data.append((counts.astype(float), n % classes))
    return net, data


def state(net: CoLaNET) -> tuple[Floats, Floats, Floats]:
    """(P, means, drives) as floating point."""
    columns = net.columns
    assert isinstance(columns, DecorrelatedColumns)
    return columns.decorrelation / 2**30, columns.mean / 2**24, columns.drive / 2**20


def scatter(data: list) -> Floats:
    """Sum of n/(1+n) r r', in the order of the stream."""
    total, means, uses = np.zeros((N, N)), np.zeros((9, N)), np.zeros(9)
    for counts, label in data:
        residual = counts - means[label]
        total += uses[label] / (1 + uses[label]) * np.outer(residual, residual)
        means[label] += residual / (1 + uses[label])
        uses[label] += 1
    return total


def test_inhibition_inverts_the_pooled_scatter() -> None:
    net, data = taught()
    expected = 100 * np.linalg.inv(100 * np.eye(N) + scatter(data))
    assert state(net)[0] == pytest.approx(expected, abs=1e-4)
    assert np.abs(state(net)[0] - np.eye(N)).max() > 0.5


def test_first_examples_inhibit_by_what_sets_them_apart() -> None:
    """Their scatter about their common mean counts as `novelty` examples do."""
    net, data = taught(6, classes=6, novelty=0.5)
    firsts = np.array([counts for counts, _ in data])
    between = (firsts - firsts.mean(0)).T @ (firsts - firsts.mean(0))
    p, means, drives = state(net)
    assert p == pytest.approx(100 * np.linalg.inv(100 * np.eye(N) + 0.5 * between), abs=1e-4)
    assert np.abs(p - np.eye(N)).max() > 0.2
    assert drives == pytest.approx(means @ p, abs=2e-4)


def corrections(net: CoLaNET) -> Floats:
    return net.columns.correction / 2**24  # type: ignore[attr-defined, no-any-return]


def test_columns_are_corrected_by_how_wrongly_they_expect_an_example() -> None:
    """Online softmax on top of the discriminant, the step normalised and slower for what was used more."""
    net, _ = taught(30, correction=0.2)
    before, (_, means, _) = corrections(net), state(net)
    counts = np.array(prototypes(4, 3, N)[1], np.uint8)  # looks like 1
    columns = net.columns
    drive = (columns.weights.T.astype(np.int64) @ counts - columns.tonic) / 2**15
    expected = np.exp2(6 * (drive - drive.max()))
    error = expected / expected.sum() - [1, 0, 0]
    deviation = counts - means.sum(0) / 6
    net.learn_one(counts, "0")
    step = -0.2 * error / (1 + 10 / 64) / (deviation @ deviation)
    assert corrections(net) - before == pytest.approx(np.outer(step, deviation), abs=2e-5)
    assert error[0] < -0.5


def test_what_was_expected_corrects_nothing() -> None:
    net, _ = taught(60, correction=0.2)
    before = corrections(net)
    net.learn_one(np.array(prototypes(4, 3, N)[1], np.uint8), "1")
    assert np.abs(corrections(net) - before).max() < 1e-4


def test_corrections_are_part_of_the_weights() -> None:
    net, _ = taught(30)
    plain = net.columns.weights.astype(int)
    net.columns.correction[1] = 1 << 20  # type: ignore[attr-defined]
    net.columns.load({name: array.copy() for name, array in net.columns.arrays().items()})
    assert (net.columns.weights - plain).tolist() == [[0, 1 << 11, 0]] * N


def test_correction_tells_apart_what_one_covariance_cannot() -> None:
    """The rarer kind of class a lies near class b, on the far side of what the mean and the scatter of a tell."""
    common, other = prototypes(4, 2, N)
    kinds = [common, [(2 * b + a) // 3 for a, b in zip(common, other, strict=True)], other]
    right = []
    for correction in (0.0, 0.1):
        net, _ = taught(0, classes=2, correction=correction)
        numbers = lehmer(6)
        for step in range(900):
            kind = (0, 0, 0, 1, 2)[step % 5]
            net.learn_one(as_counts(around(kinds[kind], numbers, spread=3)), "001"[kind])
        shown = [as_counts(around(kinds[kind], numbers, spread=3)) for kind in (0, 1, 2) for _ in range(200)]
        answers = net.predict_many(np.array(shown))
        right.append(sum(answer.label == "001"[i // 200] for i, answer in enumerate(answers)))
    assert right[0] < 500 < right[1]


def test_a_rehearsal_corrects_more_strongly_and_is_not_counted() -> None:
    net, data = taught(30, correction=0.05)
    twin, _ = taught(30, correction=0.2)
    twin.columns.load({name: array.copy() for name, array in net.columns.arrays().items()})
    before, learnt = corrections(net), net.n_learnt
    counts = data[0][0].astype(np.uint8)
    net.rehearse_one(counts, "2")
    twin.learn_one(counts, "2")
    assert corrections(net) == pytest.approx(corrections(twin), abs=1e-6)
    assert np.abs(corrections(net) - before).max() > 1e-4
    assert net.n_learnt == learnt
    assert net.columns.uses.tolist() == [10, 10, 10]  # type: ignore[attr-defined]


def test_inhibition_grows_between_inputs_that_vary_together() -> None:
    net = CoLaNET(Params(plasticity=Decorrelated(regularisation=100)), 3)
    net.add_class("a")
    for n in range(40):
        together = 9 if n % 2 else 1
        net.learn_one(np.array([together, together, 5], np.uint8), "a")
    p = net.columns.decorrelation / 2**30  # type: ignore[attr-defined]
    assert p[0, 1] < -0.3
    assert p[0, 0] < 0.7
    assert p[2].tolist() == pytest.approx([0, 0, 1], abs=1e-3)


def test_reward_makes_the_mean_of_what_the_winner_has_learnt() -> None:
    net, data = taught()
    for label in range(3):
        expected = np.mean([counts for counts, shown in data if shown == label], axis=0)
        assert state(net)[1][label] == pytest.approx(expected, abs=1e-5)


def test_loss_and_reward_keep_the_drive_at_p_times_the_mean() -> None:
    """Loss changes the columns that were not shown too, with P; the one that was shown is rewarded on top."""
    net, _ = taught()
    p, means, drives = state(net)
    assert drives == pytest.approx(means @ p, abs=2e-4)


def test_loss_lowers_what_a_residual_excites() -> None:
    """A column answers less to a direction after that direction varied within a class."""
    net, _ = taught(30)
    _, means, before = state(net)
    counts = np.clip(np.round(means[0]) + np.array([4, -4] * 6), 0, 10).astype(np.uint8)
    residual = counts - means[0]
    net.learn_one(counts, "0")
    after = state(net)[2]
    response = before @ residual
    assert (np.abs(response[1:]) > 1).all()
    assert (np.abs((after @ residual)[1:]) < 0.9 * np.abs(response[1:])).all()


def test_common_inhibition_takes_off_what_all_columns_share() -> None:
    """Weights: what a drive has over the mean of all, silent ones counted in; tonic: their response to the mean m."""
    net, _ = taught(resting_classes=2)
    p, means, drives = state(net)
    common_drive, common_mean = drives.sum(0) / 5, means.sum(0) / 5
    norms = np.sqrt(((means - common_mean) * (drives - common_drive)).sum(1))
    weights = net.columns.weights.T / 2**15
    assert weights * norms[:, None] == pytest.approx(drives - common_drive, abs=1e-3)
    assert net.columns.tonic / 2**15 == pytest.approx(weights @ common_mean, abs=1e-2)
    assert np.abs(drives - common_drive - drives).max() > 0.1
    assert p.shape == (N, N)


def test_tonic_inhibition_cancels_the_mean_input() -> None:
    """Shown exactly the mean of the columns, no neuron is left with any potential."""
    net = CoLaNET(Params(plasticity=Decorrelated(regularisation=100, resting_classes=2)), 4)
    for label, counts in (("a", [8, 0, 8, 0]), ("b", [0, 8, 8, 0])):
        net.add_class(label)
        net.learn_one(np.array(counts, np.uint8), label)
    decision = net.predict_one(np.array([2, 2, 4, 0], np.uint8))
    assert decision.label is None
    activity = net.columns.present(np.array([2, 2, 4, 0], np.uint8))
    assert activity.potential.ravel().tolist() == pytest.approx([0, 0], abs=16)
    assert net.predict_one(np.array([6, 2, 4, 0], np.uint8)).label == "a"


def test_synaptic_scaling_gives_every_neuron_the_same_norm() -> None:
    """w' P^-1 w = 1, for a class that is far from the mean as for one that is close to it."""
    net, _ = taught()
    weights = net.columns.weights.T / 2**15
    assert np.einsum("ki,ij,kj->k", weights, np.linalg.inv(state(net)[0]), weights) == pytest.approx(1, abs=0.02)


def norms(net: CoLaNET) -> tuple[Floats, Floats]:
    """(by which the drives were divided, what the means and drives say): squared norms of the neurons."""
    _, means, drives = state(net)
    share = len(means) + net.columns.params.plasticity.resting_classes  # type: ignore[union-attr]
    drive = drives - drives.sum(0) / share
    largest = np.abs(drive).argmax(1)[:, None]
    divided = np.take_along_axis(drive, largest, 1) / np.take_along_axis(net.columns.weights.T / 2**15, largest, 1)
    return divided[:, 0] ** 2, ((means - means.sum(0) / share) * drive).sum(1)


def test_noise_is_the_mean_distance_of_examples_from_what_their_neurons_stand_for() -> None:
    net, data = taught(90)
    p, means, uses, noise, heard = np.eye(N), np.zeros((3, N)), np.zeros(3), 0.0, 0
    for counts, label in data:
        residual, n = counts - means[label], uses[label]
        if n:
            energy = n / (1 + n) * residual @ p @ residual
            heard = min(heard + 1, 64)
            noise += (energy - noise) / heard
            p -= np.outer(p @ residual, p @ residual) / (100 * (1 + n) / n + residual @ p @ residual)
        means[label] += residual / (1 + n)
        uses[label] += 1
    assert noise > 10
    assert net.columns.noise[0] / 2**16 == pytest.approx(noise, rel=1e-3)  # type: ignore[attr-defined]
    assert net.columns.noise[1] == 64  # type: ignore[attr-defined]


def test_scaling_takes_off_what_chance_put_into_a_norm() -> None:
    """More from a mean of few examples than from a mean of many."""
    net, _ = taught(40)
    net.add_class("few")
    for pattern in range(2):
        net.learn_one(np.array(prototypes(77 + pattern, 1, N)[0], np.uint8), "few")
    noise = net.columns.noise[0] / 2**16  # type: ignore[attr-defined]
    found, plain = norms(net)
    assert found == pytest.approx(plain, rel=1e-3)
    corrected = CoLaNET(Params(plasticity=Decorrelated(regularisation=100, noise=1)), N)
    for label in net.labels:
        corrected.add_class(label)
    corrected.columns.load({name: array.copy() for name, array in net.columns.arrays().items()})
    found, plain = norms(corrected)
    expected = plain - noise / net.columns.uses  # type: ignore[attr-defined]
    assert (plain - expected)[3] > 5 * (plain - expected)[:3].max()
    assert found == pytest.approx(np.maximum(expected, 0.375 * plain), rel=2e-3)
    assert (expected > 0.375 * plain).any()


def test_a_class_that_was_shown_less_often_than_the_others_is_not_outvoted() -> None:
    """Of a late class's own examples more are named rightly than with the noise left in its norm."""
    named = []
    for noise in (0.0, 0.875):
        net, _ = taught(300, classes=6, noise=noise)
        numbers, pattern = lehmer(12), prototypes(5, 1, N)[0]
        net.add_class("late")
        for _ in range(3):
            net.learn_one(as_counts(around(pattern, numbers, spread=4)), "late")
        shown = [as_counts(around(pattern, numbers, spread=4)) for _ in range(200)]
        named.append(sum(decision.label == "late" for decision in net.predict_many(np.array(shown))))
    assert named[1] > named[0]


@pytest.mark.parametrize("fraction", [1 / 64, 0.125, 1.0])
def test_threshold_is_a_fraction_of_the_mean_drive(fraction: float) -> None:
    net, _ = taught(threshold=fraction)
    _, means, drives = state(net)
    centred, driven = means - means.sum(0) / 6, drives - drives.sum(0) / 6
    norm = np.sqrt((centred * driven).sum(1)).mean()
    assert net.columns.threshold / 2**15 == pytest.approx(fraction * norm, abs=2e-2 * norm)
    assert len(set(net.columns.threshold.tolist())) == 1


def test_a_lower_threshold_lets_columns_spike_more() -> None:
    shown = np.array(prototypes(4, 3, N)[0], np.uint8)
    spikes = [int(taught(threshold=fraction)[0].predict_one(shown).spikes.sum()) for fraction in (1 / 64, 0.125, 1.0)]
    assert spikes[0] > spikes[1] > spikes[2]


def test_a_fresh_neuron_is_recruited_for_what_its_column_does_not_know() -> None:
    """Even where the neuron that is in use is more excited than a fresh one, which is not excited at all."""
    net = CoLaNET(Params(microcolumns=2, plasticity=Decorrelated(regularisation=100, threshold=0.75)), 4)
    for label in "ab":
        net.add_class(label)
    left, right, other = (np.array(counts, np.uint8) for counts in ([9, 0, 0, 0], [4, 9, 0, 0], [0, 0, 9, 0]))
    for shown, label, expected in (
        (left, "a", [1, 0, 0, 0]),
        (other, "b", [1, 0, 1, 0]),
        (left, "a", [2, 0, 1, 0]),  # known: the neuron that fires learns
        (right, "a", [2, 1, 1, 0]),  # the column is silent: a neuron that was never used learns
        (right, "a", [2, 2, 1, 0]),
        (other, "b", [2, 2, 2, 0]),
    ):
        activity = net.columns.present(shown)
        if expected == [2, 1, 1, 0]:
            assert (activity.spikes[0, 0], activity.winner[0, 0]) == (0, 0)
            assert activity.potential[0, 0] > 0
        net.learn_one(shown, label)
        assert net.columns.uses.tolist() == expected  # type: ignore[attr-defined]
    for shown in (left, right):
        assert net.predict_one(shown).label == "a"


def test_plasticity_falls_no_further_than_stability_max() -> None:
    """After three examples every further one moves the mean by a quarter of the residual."""
    net = CoLaNET(Params(plasticity=Decorrelated(stability_max=3)), 2)
    net.add_class("a")
    mean, uses = np.zeros(2), 0
    for counts in ([2, 8], [4, 6], [0, 0], [10, 0], [10, 0], [10, 1], [10, 10]):
        net.learn_one(np.array(counts, np.uint8), "a")
        mean += (np.array(counts) - mean) / (1 + uses)
        uses = min(uses + 1, 3)
        assert state(net)[1][0] == pytest.approx(mean, abs=1e-5)
        assert net.columns.uses.tolist() == [uses]  # type: ignore[attr-defined]


def test_regularisation_slows_the_decorrelation() -> None:
    p = [np.trace(state(taught(regularisation=regularisation)[0])[0]) for regularisation in (64, 1000, 16000)]
    assert p[0] < p[1] < p[2] < N


def test_a_constant_input_moves_nothing_for_ever() -> None:
    """The mean comes so near to a constant count that the drive stays where the mean puts it."""
    net = CoLaNET(Params(plasticity=Decorrelated(stability_max=4096)), 3)
    for label in "ab":
        net.add_class(label)
    numbers = lehmer(8)
    for n in range(12000):
        net.learn_one(np.array([10, next(numbers) % 11, 7], np.uint8), "ab"[n % 2])
    p, means, drives = state(net)
    assert drives == pytest.approx(means @ p, abs=2e-4)


def test_a_spike_takes_the_threshold_off_and_no_more() -> None:
    """The whole excitation of a column is there at the end: spikes times threshold, and the potential left over."""
    net, _ = taught(threshold=0.25)
    columns = net.columns
    for shown in prototypes(4, 3, N):
        counts = np.array(shown, np.uint8)
        activity = columns.present(counts)
        total = columns.weights.T.astype(np.int64) @ counts - columns.tonic
        assert (activity.spikes.ravel() * columns.threshold + activity.potential.ravel()).tolist() == total.tolist()
        assert activity.spikes.max() >= 3
