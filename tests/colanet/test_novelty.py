"""Novelty: low for what was taught, high for what was not; and each of its parts does what it is there for."""

import itertools
from random import Random

import numpy as np
import pytest

from edge_app.colanet import kernels
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.colanet.reference import log2
from edge_app.errors import InputError, StateCorrupt
from support.twins import LABELS, Twins, around, as_counts, lehmer, prototypes

N = 40
OCTAVE = 1024
DEFAULT = Params(plasticity=Decorrelated(regularisation=64))


def taught(
    background: np.ndarray | None = None, params: Params = DEFAULT, classes: int = 3, shots: int = 6
) -> tuple[CoLaNET, list[list[int]]]:
    """A network, and what its classes look like."""
    network, numbers, patterns = CoLaNET(params, N, background=background), lehmer(3), prototypes(5, classes + 2, N)
    for label in LABELS[:classes] if classes <= len(LABELS) else map(str, range(classes)):
        network.add_class(label)
    for _ in range(shots):
        for label, pattern in zip(network.labels, patterns, strict=False):
            network.learn_one(as_counts(around(pattern, numbers)), label)
    return network, patterns


def novelty(network: CoLaNET, counts: list[int]) -> int:
    return network.predict_one(as_counts(counts)).novelty


def test_a_stranger_is_newer_than_every_class_by_octaves() -> None:
    network, patterns = taught()
    own = [novelty(network, pattern) for pattern in patterns[:3]]
    assert max(own) < 0
    assert novelty(network, patterns[3]) > max(own) + 3 * OCTAVE


def test_between_two_classes_is_newer_than_either_but_far_from_a_stranger() -> None:
    network, patterns = taught()
    between = [(a + b) // 2 for a, b in zip(patterns[0], patterns[1], strict=True)]
    assert novelty(network, patterns[0]) + OCTAVE < novelty(network, between) < novelty(network, patterns[3])


def test_what_drives_a_second_class_as_well_is_newer_by_what_the_lead_lacks() -> None:
    """An octave for each mean norm; beside the distances, which know of the second class too."""
    network, patterns = taught()
    shares = [(10 - share, share) for share in range(6)]
    mixed = [[(a * p + b * q) // 10 for p, q in zip(*patterns[:2], strict=True)] for a, b in shares]
    decisions = [network.predict_one(as_counts(one)) for one in mixed]
    leads = [int(np.sort(one.excitation)[-1] - max(np.sort(one.excitation)[-2], 0)) for one in decisions]
    assert leads == sorted(leads, reverse=True)
    fraction = float(DEFAULT.plasticity.threshold)  # type: ignore[union-attr]
    for one, other in itertools.pairwise(range(len(shares))):
        assert decisions[other].novelty > decisions[one].novelty + fraction * (leads[one] - leads[other]) - 1


def test_the_contrast_is_the_squared_length_over_that_of_the_mean() -> None:
    """Squared distances grow with the length of an example: that alone must not make it new."""
    mean = np.array([3 << 24, 4 << 24], np.int32)
    for counts, expected in (([3, 4], 0), ([6, 8], 2), ([1, 0], -np.log2(25))):
        assert kernels.contrast(as_counts(counts), mean) == pytest.approx(expected * OCTAVE, abs=1)
    # lengths below one spike count as one
    assert kernels.contrast(as_counts([0, 0]), np.zeros(2, np.int32)) == 0


def test_a_class_of_many_examples_is_held_to_a_smaller_distance() -> None:
    """By half an octave for twice the mean number, and by no more."""
    shares = [kernels.share_of(learnt, 3, 18) for learnt in (1, 3, 4, 6, 9, 12, 100)]
    assert (shares[0], shares[1], shares[3], shares[5], shares[6]) == (-512, -512, 0, 512, 512)
    assert shares[4] == pytest.approx(np.log2(1.5) * OCTAVE / 2, abs=1)
    assert shares == sorted(shares)


def test_what_is_not_excited_enough_is_new_whatever_it_resembles_most() -> None:
    """A fifth of a class's pattern over what all classes have in common: nearest to its class, and still new."""
    network, patterns = taught()
    common = np.sum(patterns[:3], axis=0) / (3 + 3)  # beside three silent classes
    faint = np.rint(common + 0.2 * (np.array(patterns[0]) - common)).astype(int).tolist()
    decision = network.predict_one(as_counts(faint))
    drive = int(decision.excitation.max()) / 1024 * float(DEFAULT.plasticity.threshold)  # type: ignore[union-attr]
    assert decision.label == LABELS[0]
    assert drive < kernels.LEAST_DRIVE / 2**16
    assert decision.novelty > 32 * OCTAVE * (kernels.LEAST_DRIVE / 2**16 - drive) - 2 * OCTAVE


def test_what_looks_like_the_background_is_new() -> None:
    alone, patterns = taught()
    mixed = [(2 * a + 3 * b) // 5 for a, b in zip(patterns[0], patterns[4], strict=True)]
    beside, _ = taught(np.array([patterns[4]], np.uint8))
    assert novelty(beside, mixed) > novelty(alone, mixed) + OCTAVE
    assert abs(novelty(beside, patterns[0]) - novelty(alone, patterns[0])) < OCTAVE


def test_an_example_is_newer_by_the_drive_of_the_background() -> None:
    """By an octave for each mean norm, where the bar is reached with and without it."""
    pattern = prototypes(5, 5, N)[0]
    alone, _ = taught()
    for part in (0.1, 0.2, 0.3):
        like = np.rint((1 - part) * np.array(prototypes(5, 5, N)[4]) + part * np.array(pattern)).astype(np.uint8)
        beside, _ = taught(like[None])
        columns, counts = beside.columns, as_counts(pattern)
        found = columns._background  # type: ignore[attr-defined]
        norm = int(columns._roots.sum()) // len(columns._roots)  # type: ignore[attr-defined]
        drive = kernels.background_excitation(counts, found.weights, found.tonic, norm)
        assert abs(drive) > 64
        assert novelty(beside, pattern) - novelty(alone, pattern) == pytest.approx(drive / 64, abs=1)


def test_kinship_is_a_half_at_what_was_taught_and_minus_a_half_at_the_background() -> None:
    columns = taught(np.array(prototypes(8, 2, N), np.uint8))[0].columns
    background = columns._background  # type: ignore[attr-defined]
    taught_mean = (columns.mean / 2**24).mean(axis=0)  # type: ignore[attr-defined]
    for mean, expected in ((taught_mean, 0.5), (np.mean(prototypes(8, 2, N), axis=0), -0.5)):
        along = mean @ (background.axis / 2**20) - background.middle[0] / 2**16
        assert along / (background.middle[1] / 2**16) == pytest.approx(expected, abs=0.01)


def test_what_lacks_kinship_or_likeness_needs_more_drive() -> None:
    columns = taught(np.array(prototypes(8, 2, N), np.uint8))[0].columns
    background, patterns = columns._background, prototypes(5, 5, N)  # type: ignore[attr-defined]
    kinship = [
        kernels.missing_kinship(as_counts(pattern), background.axis, background.middle, 6)
        for pattern in (patterns[0], prototypes(8, 2, N)[0])
    ]
    assert kinship[0] == 0
    assert kinship[1] > 2**14
    likeness = [kernels.missing_likeness(as_counts(one), columns.mean[0], 6) for one in (patterns[0], [10] + [0] * 39)]  # type: ignore[attr-defined]
    assert likeness[0] == 0
    assert likeness[1] > 2**14
    alone = taught()[0].columns._background  # type: ignore[attr-defined]
    assert kernels.missing_kinship(as_counts(patterns[3]), alone.axis, alone.middle, 6) == 0


def test_few_examples_need_less_of_each() -> None:
    """A mean of few examples is longer than what it stands for, and excites less."""
    columns = taught(np.array(prototypes(8, 2, N), np.uint8))[0].columns
    background, far = columns._background, as_counts([10] + [0] * 39)  # type: ignore[attr-defined]
    near = as_counts(prototypes(8, 2, N)[0])
    for few, many in ((1, 2), (2, 8), (8, 100)):
        assert kernels.missing_kinship(near, background.axis, background.middle, few) < kernels.missing_kinship(
            near, background.axis, background.middle, many
        )
        assert kernels.missing_likeness(far, columns.mean[0], few) < kernels.missing_likeness(
            far, columns.mean[0], many
        )  # type: ignore[attr-defined]


def test_the_background_changes_no_label_and_nothing_that_is_learnt() -> None:
    alone, patterns = taught()
    beside, _ = taught(np.array(patterns[3:], np.uint8))
    assert (alone.columns.weights == beside.columns.weights).all()
    for pattern in patterns:
        a, b = alone.predict_one(as_counts(pattern)), beside.predict_one(as_counts(pattern))
        assert (a.label, a.margin, a.spikes.tolist()) == (b.label, b.margin, b.spikes.tolist())


def test_the_background_is_seen_in_the_metric_that_was_learnt() -> None:
    """Its drive is P times what it stands for, after every example."""
    columns = taught(np.array(prototypes(8, 2, N), np.uint8))[0].columns
    expected = np.array(prototypes(8, 2, N)) @ (columns.decorrelation / 2**30)  # type: ignore[attr-defined]
    assert columns.arrays()["background_drive"] / 2**20 == pytest.approx(expected, abs=1e-3)


def test_two_classes_that_were_taught_the_same_are_no_fault() -> None:
    network, patterns = taught(classes=3, shots=2)
    network.add_class("again")
    for _ in range(2):
        network.learn_one(as_counts(patterns[0]), "again")
    assert abs(novelty(network, patterns[0])) < 64 * OCTAVE


@pytest.mark.parametrize("classes", [1, 2, 12])
def test_kernel_and_reference_agree_with_fewer_and_with_more_classes_than_neighbours(classes: int) -> None:
    twins, random, patterns = Twins(DEFAULT, 12, background=prototypes(4, 3, 12)), lehmer(2), prototypes(6, classes, 12)
    for label in map(str, range(classes)):
        twins.add_class(label)
    for _ in range(2):
        for label, pattern in enumerate(patterns):
            twins.learn_one(around(pattern, random), str(label))
    for pattern in [*patterns, *prototypes(9, 4, 12)]:
        twins.predict_one(around(pattern, random))


def test_without_classes_and_under_the_published_rule_there_is_none() -> None:
    assert CoLaNET(DEFAULT, N).predict_one(np.zeros(N, np.uint8)).novelty == 0
    network, patterns = taught(params=Params(plasticity=Published(threshold=0.5)))
    assert novelty(network, patterns[3]) == 0


def test_a_snapshot_carries_the_background() -> None:
    network, patterns = taught(np.array(prototypes(8, 2, N), np.uint8))
    again = CoLaNET.from_snapshot(network.snapshot())
    assert [novelty(again, p) for p in patterns] == [novelty(network, p) for p in patterns]
    again.learn_one(as_counts(patterns[0]), LABELS[0])
    network.learn_one(as_counts(patterns[0]), LABELS[0])
    assert again.snapshot() == network.snapshot()


def test_a_background_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"background counts are uint8 \(2, 7\), expected uint8 \(any number, 40\)"):
        CoLaNET(DEFAULT, N, background=np.zeros((2, 7), np.uint8) + np.uint8(1))
    with pytest.raises(InputError, match=r"a background count is 11, expected 0\.\.10"):
        CoLaNET(DEFAULT, N, background=np.full((1, N), 11, np.uint8))


def test_a_snapshot_with_a_damaged_background_is_refused() -> None:
    network, _ = taught(np.array(prototypes(8, 2, N), np.uint8))
    columns = network.columns
    arrays = columns.arrays()
    with pytest.raises(StateCorrupt, match="background_drive holds nothing"):
        columns.load({name: array for name, array in arrays.items() if name != "background_drive"})


def test_log2_is_that_of_real_numbers_to_a_thousandth_of_an_octave() -> None:
    random = Random(1)
    for value in [1, 2, 3, 65535, 65536, 2**45, *(random.randrange(1, 2**46) for _ in range(500))]:
        assert kernels.log2_of(value) == log2(value)
        assert log2(value) / OCTAVE == pytest.approx(np.log2(value / 2**16), abs=1.1 / OCTAVE)
