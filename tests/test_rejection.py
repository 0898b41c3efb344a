import numpy as np
import pytest

from edge_app.rejection import (
    FURTHEST,
    PREVIEWED,
    PRIOR_MEDIAN,
    PRIOR_SPREAD,
    SPREADS,
    RejectionPreview,
    Seen,
    Spread,
    preview,
    spread_of,
)


def seen(count: int, seed: int = 0) -> list[Seen]:
    """Right decisions around -2000, wrong ones around 500: a third of them wrong."""
    random = np.random.default_rng(seed)
    return [Seen(int(random.normal(500 if i % 3 == 0 else -2000, 400)), i % 3 != 0) for i in range(count)]


def test_strictness_zero_always_gives_a_name_and_one_rejects_half() -> None:
    spread = Spread(-1000.0, 400.0)
    assert spread.limit(0) is None
    assert spread.limit(1) == -1000
    assert spread.limit(0.5) == -1000 + SPREADS * 200


def test_the_limit_falls_with_strictness() -> None:
    limits = [Spread(100.0, 70.0).limit(value / 10) for value in range(1, 11)]
    assert limits == sorted(limits, reverse=True)


def test_without_examples_the_prior_serves_and_many_outweigh_it() -> None:
    assert spread_of([]) == Spread(PRIOR_MEDIAN, PRIOR_SPREAD)
    many = spread_of(seen(600))
    assert many.median == pytest.approx(-2000, abs=100)
    assert many.upper == pytest.approx(400 * 1.28, abs=120)


def test_wrong_decisions_say_nothing_of_how_new_right_ones_are() -> None:
    right = [Seen(-2000, True)] * 30
    assert spread_of([*right, *[Seen(9000, False)] * 5]).median == pytest.approx(spread_of(right).median, abs=200)


def test_what_was_decided_when_less_was_learnt_counts_less() -> None:
    early, late = [Seen(3000, True)] * 50, [Seen(-3000, True)] * 50
    assert spread_of(early + late).median < -2000
    assert spread_of(late + early).median > 2000


def test_a_preview_judges_each_decision_by_what_was_known_before_it() -> None:
    history = seen(150)
    nothing, default, strict = preview(history, [0, 0.5, 1])
    assert nothing == RejectionPreview(0, 100, 0, 50, 0)
    assert (default.right, default.wrong) == (100, 50)
    by_hand = sum(one.novelty > (spread_of(history[:i]).limit(1) or 0) for i, one in enumerate(history) if one.right)
    assert strict.right_rejected == by_hand
    assert 0 <= default.right_rejected < strict.right_rejected
    assert default.wrong_rejected <= strict.wrong_rejected
    assert strict.wrong_rejected > 40


def test_a_preview_goes_back_so_far_and_no_further() -> None:
    assert preview(seen(PREVIEWED + 100), [0.5])[0].right + preview(seen(PREVIEWED + 100), [0.5])[0].wrong == PREVIEWED
    assert preview([], [0.5]) == [RejectionPreview(0.5, 0, 0, 0, 0)]


def test_how_far_off_a_right_decision_was_does_not_open_the_limit() -> None:
    """A first or second example may be right by luck, and far below the bar."""
    usual = [Seen(0, True)] * 6
    near, far = ([*usual, Seen(novelty, True), Seen(novelty, True)] for novelty in (FURTHEST, 40 * FURTHEST))
    assert spread_of(far) == spread_of(near)
