"""The rate code against its equation in high precision, and what must hold for any embedding."""

import dataclasses
import hashlib
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import EXPONENTS, MAX_INPUTS, STEPS, RateCode
from edge_app.errors import InputError

getcontext().prec = 60
EMBEDDINGS = hnp.arrays(np.uint8, st.integers(1, 60))
SATURATIONS = st.integers(1, 256).map(lambda units: units / 16)


def exact(code: RateCode, embedding: np.ndarray) -> list[Decimal]:
    """T v / (saturation rms) of every value, before it is rounded."""
    levels = [Decimal(max(int(value) - code.zero_point, 0)) for value in embedding]
    powers = [level ** Decimal(code.exponent) if level else Decimal(0) for level in levels]
    rms = (sum(power * power for power in powers) / len(powers)).sqrt()
    return [STEPS * power / (Decimal(code.saturation) * rms) if rms else Decimal(0) for power in powers]


@settings(max_examples=300, deadline=None)
@given(EMBEDDINGS, st.sampled_from(EXPONENTS), SATURATIONS, st.integers(0, 255) | st.just(0))
@example(np.full(9, 255, np.uint8), 1.0, 1.0, 0)
@example(np.array([0, 0, 1], np.uint8), 0.75, 16.0, 0)
@example(np.array([4, 16, 36, 64, 100], np.uint8), 0.5, 3.0, 0)
def test_counts_follow_the_equation(embedding: np.ndarray, exponent: float, saturation: float, zero_point: int) -> None:
    code = RateCode(len(embedding), exponent, saturation, zero_point)
    counts = code(embedding)
    assert counts.dtype == np.uint8
    # the power 3/4 is kept to 2^-8 of its square: next to a half it may round either way
    slack = Decimal("0.01") if exponent == 0.75 else Decimal("1e-40")
    half = Decimal("0.5")
    for count, value in zip(counts.tolist(), exact(code, embedding), strict=True):
        if count < STEPS:
            assert value < count + half + slack
        if count > 0:
            assert value >= count - half - slack


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 63)), st.sampled_from((0.5, 1.0)), SATURATIONS)
def test_a_dim_picture_and_a_bright_one_spike_alike(embedding: np.ndarray, exponent: float, saturation: float) -> None:
    code = RateCode(len(embedding), exponent, saturation)
    assert np.array_equal(code(embedding), code(embedding * np.uint8(4)))


@settings(max_examples=100, deadline=None)
@given(EMBEDDINGS, st.sampled_from(EXPONENTS), SATURATIONS)
def test_more_activation_never_means_fewer_spikes(embedding: np.ndarray, exponent: float, saturation: float) -> None:
    counts = RateCode(len(embedding), exponent, saturation)(embedding).astype(int)
    assert (np.diff(counts[np.argsort(embedding, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_nothing_overflows_at_the_largest_size(exponent: float) -> None:
    bright = np.full(MAX_INPUTS, 255, np.uint8)
    assert set(RateCode(MAX_INPUTS, exponent, 16.0)(bright).tolist()) == {1}  # 10 / 16, rounded
    assert set(RateCode(MAX_INPUTS, exponent, 1 / 16)(bright).tolist()) == {10}
    one = np.zeros(MAX_INPUTS, np.uint8)
    one[7] = 255
    assert RateCode(MAX_INPUTS, exponent, 16.0)(one)[7] == 10
    assert RateCode(MAX_INPUTS, exponent, 1 / 16)(one).sum() == 10


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_what_is_not_above_zero_does_not_spike(exponent: float) -> None:
    assert RateCode(3, exponent)(np.zeros(3, np.uint8)).tolist() == [0, 0, 0]
    assert RateCode(3, exponent, zero_point=9)(np.array([0, 9, 3], np.uint8)).tolist() == [0, 0, 0]
    assert RateCode(3, exponent, zero_point=9)(np.array([0, 9, 10], np.uint8)).tolist() == [0, 0, 6]


def test_rows_are_coded_one_by_one() -> None:
    code, random = RateCode(50), np.random.default_rng(0)
    rows = random.integers(0, 256, (7, 50), dtype=np.uint8)
    rows[3] = 0
    coded = code(rows)
    assert coded.shape == (7, 50)
    assert all(np.array_equal(coded[i], code(rows[i])) for i in range(7))
    assert np.array_equal(code(np.asfortranarray(rows)), coded)
    assert np.array_equal(code(np.repeat(rows, 2, axis=1)[:, ::2]), coded)
    assert code(rows[:0]).shape == (0, 50)
    frozen = rows[0].copy()
    frozen.flags.writeable = False
    assert np.array_equal(code(frozen), coded[0])


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.zeros(50, np.int8), r"int8 \(50,\), expected uint8 \(50,\)"),
        (np.zeros(50), "float64"),
        (np.zeros(49, np.uint8), r"uint8 \(49,\).*was it made with another encoder\?"),
        (np.zeros((2, 2, 50), np.uint8), r"\(2, 2, 50\)"),
        (np.uint8(3), r"uint8 \(\)"),
        ([1] * 50, "int64"),
    ],
)
def test_other_embeddings_are_refused(embedding: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RateCode(50)(embedding)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_inputs": 0}, "n_inputs = 0, expected 1 to 16384"),
        ({"n_inputs": MAX_INPUTS + 1}, "n_inputs = 16385"),
        ({"exponent": 0.6}, "exponent = 0.6, expected one of 0.5, 0.75, 1.0"),
        ({"saturation": 0.0}, "saturation = 0.0, expected a multiple of 1/16 up to 16"),
        ({"saturation": 3.01}, "saturation = 3.01"),
        ({"saturation": 16.0625}, "saturation = 16.0625"),
        ({"zero_point": -1}, "zero_point = -1, expected 0..255"),
        ({"zero_point": 256}, "zero_point = 256"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RateCode(**{"n_inputs": 5, **values})


def test_the_model_s_manifest_has_the_say() -> None:
    manifest = load_manifest()
    code = RateCode.for_model(manifest)
    assert (code.n_inputs, code.zero_point) == (1280, 0)
    other = dataclasses.replace(manifest, rate_code={"exponent": 1, "saturation": 4})
    assert RateCode.for_model(other) == RateCode(1280, 1.0, 4.0)
    with pytest.raises(InputError, match=r"unknown key 'gain' in \[rate_code\], expected exponent or saturation"):
        RateCode.for_model(dataclasses.replace(manifest, rate_code={"gain": 4}))


def test_the_digest_names_all_that_counts_depend_on() -> None:
    base = RateCode(100)
    changed = [
        RateCode(101),
        RateCode(100, exponent=1.0),
        RateCode(100, saturation=3.0625),
        RateCode(100, zero_point=1),
    ]
    assert len({code.digest for code in [base, *changed]}) == 5
    assert base.digest == RateCode(100).digest
    assert RateCode(100, exponent=1, saturation=4).digest == RateCode(100, exponent=1.0, saturation=4.0).digest


@pytest.mark.parametrize(
    ("exponent", "digest"),
    [
        (0.5, "5e0893ab6f4aec5e"),
        (0.75, "e731a36397d6c4a4"),
        (1.0, "be22f89b659fab2d"),
    ],
)
def test_the_same_counts_on_every_machine(exponent: float, digest: str) -> None:
    state, values = 1, []
    for _ in range(40 * 128):
        state = state * 48271 % 2147483647
        values.append(state % 256 * (state % 7 > 2))
    counts = RateCode(128, exponent)(np.array(values, np.uint8).reshape(40, 128))
    assert hashlib.sha256(counts.tobytes()).hexdigest()[:16] == digest
