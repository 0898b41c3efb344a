"""The kernels against the slow twin: equal to the bit, for networks, streams and parameters of every kind."""

import dataclasses
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_app.colanet import columns as columns_module
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.fixedpoint import POWER_TABLE
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.colanet.reference import two_to_minus
from edge_app.errors import ParameterError
from support.twins import Twins, as_counts

LABELS = "abcdef"
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True, scope="module")
def _blocks_of_any_size() -> Iterator[None]:
    """Networks this small would never be split over threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns_module, "WORK_A_THREAD", 1)
        yield


def decorrelated_rules() -> st.SearchStrategy[Decorrelated]:
    return st.builds(
        Decorrelated,
        regularisation=st.floats(64, 16000),
        resting_classes=st.integers(1, 1000),
        threshold=st.floats(1 / 64, 1),
        stability_max=st.integers(1, 65535) | st.integers(1, 4),
        noise=st.floats(0, 1),
        novelty=st.just(0) | st.floats(2**-10, 1),
        correction=st.floats(0, 0.25),
    )


def published_rules() -> st.SearchStrategy[Published]:
    def build(**values: float) -> Published | None:
        try:
            return Published(**values)  # type: ignore[arg-type]
        except ParameterError:  # w_min and w_max that do not go together
            return None

    return st.builds(
        build,
        threshold=st.floats(2**-12, 2) | st.floats(2**-12, 2**16),
        excess=st.floats(0, 0.01) | st.floats(0, 4),
        tau=st.floats(1, 20) | st.floats(1, 2**16),
        loss=st.floats(-1, 0) | st.floats(-16, 0),
        reward=st.floats(0, 1) | st.floats(0, 16),
        stability_rate=st.floats(0, 1) | st.floats(0, 16),
        w_min=st.floats(-7.9, -(2**-10)),
        w_max=st.floats(2**-10, 7.9),
        n_silent=st.integers(0, 30) | st.integers(0, 2**16),
        sigma=st.floats(0, 1) | st.floats(0, 2**10),
        isi_max=st.integers(10, 15) | st.integers(10, 1000),
        t_dopamine=st.integers(10, 14),
    ).filter(lambda rule: rule is not None)


def params() -> st.SearchStrategy[Params]:
    seeds, microcolumns = st.integers(0, 2**32 - 1), st.integers(1, 4)
    return st.builds(
        Params, microcolumns=microcolumns, members=st.just(1), seed=seeds, plasticity=decorrelated_rules()
    ) | st.builds(
        Params, microcolumns=microcolumns, members=st.integers(1, 3), seed=seeds, plasticity=published_rules()
    )


def presentation(random: Random, n_inputs: int) -> list[int]:
    """One of: anything, all or nothing, all 10, all 0, few inputs, close to a class's own pattern."""
    kind = random.randrange(6)
    if kind == 0:
        return [random.randint(0, 10) for _ in range(n_inputs)]
    if kind == 1:
        return [random.choice((0, 10)) for _ in range(n_inputs)]
    if kind in (2, 3):
        return [10 if kind == 2 else 0] * n_inputs
    if kind == 4:
        return [random.randint(0, 10) if random.random() < 0.2 else 0 for _ in range(n_inputs)]
    which = random.randrange(3)
    return [min(max(3 * ((i + which) % 4) + random.randint(-1, 1), 0), 10) for i in range(n_inputs)]


def play(twins: Twins, random: Random, n_inputs: int, steps: int) -> None:
    """Let anything happen."""
    for _ in range(steps):
        there, act = twins.fast.labels, random.random()
        if len(there) < len(LABELS) and (not there or act < 0.1):
            twins.add_class(random.choice([label for label in LABELS if label not in there]))
        elif act < 0.14:
            twins.remove_class(random.choice(there))
        elif act < 0.3:
            twins.predict_one(presentation(random, n_inputs))
        elif act < 0.4:
            twins.rehearse_one(presentation(random, n_inputs), random.choice(there))
        else:
            twins.learn_one(presentation(random, n_inputs), random.choice(there))


@QUIET
@given(
    params=params(), n_inputs=st.integers(1, 24), threads=st.integers(1, 4), random=st.randoms(use_true_random=False)
)
def test_kernels_equal_the_reference(params: Params, n_inputs: int, threads: int, random: Random) -> None:
    background = [presentation(random, n_inputs) for _ in range(random.randrange(4))]
    play(Twins(params, n_inputs, threads, background), random, n_inputs, steps=20)


def any_state(params: Params, neurons: int, n_inputs: int, random: Random) -> dict[str, list]:
    """State anywhere in its formats, most of it at their edges."""

    def number(low: int, high: int) -> int:
        return random.choice((low, high, random.randint(low, high), max(low, 0) + random.randrange(1 << 12)))

    def vector(low: int, high: int) -> list[int]:
        return [number(low, high) for _ in range(n_inputs)]

    if isinstance(params.plasticity, Published):
        top = 2**31 - 1
        return {
            "resource": [vector(-top, top) for _ in range(neurons)],
            "stability": [random.choice((0, top, random.randrange(18 << 16))) for _ in range(neurons)],
            "outstanding": [random.choice((0, random.randint(-(2**44), 2**44))) for _ in range(neurons)],
        }
    triangle = [vector(-(2**30), 2**30) for _ in range(n_inputs)]
    return {
        "mean": [vector(0, 10 << 24) for _ in range(neurons)],
        "drive": [vector(-(2**30), 2**30) for _ in range(neurons)],
        "correction": [vector(-(2**30), 2**30) for _ in range(neurons)],
        "uses": [random.choice((0, 1, params.plasticity.stability_max)) for _ in range(neurons)],
        "decorrelation": [[triangle[min(i, j)][max(i, j)] for j in range(n_inputs)] for i in range(n_inputs)],
    }


@QUIET
@given(
    params=params(), n_inputs=st.integers(1, 24), classes=st.integers(1, 3), random=st.randoms(use_true_random=False)
)
@example(Params(plasticity=Decorrelated(regularisation=16000, stability_max=1)), 24, 3, Random(1))
@example(Params(plasticity=Decorrelated(regularisation=64, stability_max=65535)), 24, 3, Random(1))
@example(Params(plasticity=Published(threshold=2**16, excess=4, reward=16, stability_rate=16)), 24, 3, Random(1))
@example(Params(plasticity=Published(threshold=2**-12, loss=-16, n_silent=0, sigma=2**10)), 24, 3, Random(1))
def test_they_agree_from_any_state_that_fits_the_formats(
    params: Params, n_inputs: int, classes: int, random: Random
) -> None:
    """No product, sum or shift leaves its integer, even where no stream would lead: Python's integers have no end."""
    twins = Twins(params, n_inputs, background=[presentation(random, n_inputs) for _ in range(2)])
    for label in LABELS[:classes]:
        twins.add_class(label)
    twins.put(any_state(params, len(twins.neurons), n_inputs, random))
    play(twins, random, n_inputs, steps=6)


@pytest.mark.parametrize("name", ["default", "paper", "paper-b", "mnist"])
def test_presets_agree(name: str) -> None:
    preset, random = Params.preset(name), Random(name)
    rule = preset.plasticity
    if isinstance(rule, Published):
        rule = dataclasses.replace(rule, threshold=1.0, sigma=rule.sigma / 8)  # made for a thousand inputs
    twins = Twins(Params(preset.microcolumns, min(preset.members, 2), 7, rule), 40, threads=2)
    for label in "abc":
        twins.add_class(label)
    spikes = 0
    for number in range(40):
        counts = [10 if (i + number) % 3 == 0 else random.randint(0, 2) for i in range(40)]
        twins.learn_one(counts, "abc"[number % 3])
        spikes += twins.predict_one(counts)
    assert spikes > 0


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("microcolumns", [1, 2])
def test_inhibition_that_is_outstanding_comes_to_the_same(microcolumns: int, threads: int) -> None:
    """Nobody looks at P between the examples here, so each one's inhibition goes to it with the next one's trace."""
    twins, random = Twins(Params(microcolumns, plasticity=Decorrelated(regularisation=64)), 18, threads), Random(4)
    for label in "abc":
        twins.add_class(label)
    for part in range(4):
        shown = [[random.randint(0, 10) for _ in range(18)] for _ in range(9)]
        labels = [random.choice("abc") for _ in shown]
        for counts, label in zip(shown, labels, strict=True):
            twins.slow.learn_one(counts, label)
            if part % 2:
                twins.fast.learn_one(as_counts(counts), label)
        if part % 2 == 0:
            twins.fast.learn_many(as_counts(shown), labels)
        twins.fast.learn_variation(as_counts(shown[0]), labels[0])
        twins.slow.learn_variation(shown[0], labels[0])
    twins.compare()


def test_the_table_of_powers_is_the_reference_s() -> None:
    assert POWER_TABLE.tolist() == [two_to_minus(i << 10) for i in range(17 * 64)]
    assert two_to_minus(17 << 16) == 0


def test_work_is_spread_over_threads_here() -> None:
    """Else the tests above would compare one thread with itself."""
    network = CoLaNET(Params(), 8, threads=4)
    blocks: list[tuple[int, int]] = []
    network.columns.spread(lambda start, stop: blocks.append((start, stop)), 8, 8)
    assert sorted(blocks) == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert isinstance(network.columns, DecorrelatedColumns)
