from collections import Counter

import pytest

from edge_app.datasets.contents import Item
from edge_app.errors import InputError
from edge_app.evaluation.splits import SplitChoice, choose_splits, draw, presentation_order


def items(counts: dict[str, int], split: str = "") -> list[Item]:
    return [Item(split, label, f"{split}/{label}/{i}.jpg") for label, n in counts.items() for i in range(n)]


def labels(found: tuple[int, ...], of: list[Item]) -> Counter[str]:
    return Counter(of[i].label for i in found)


@pytest.mark.parametrize(
    ("splits", "train", "test", "choice"),
    [
        ((), None, None, ("", None)),
        (("all",), None, None, ("all", None)),
        (("test", "train"), None, None, ("train", "test")),
        (("test", "train", "val"), None, None, ("train", "test")),
        (("test", "train", "val"), "train", "val", ("train", "val")),
    ],
)
def test_choice(splits: tuple[str, ...], train: str | None, test: str | None, choice: tuple[str, str | None]) -> None:
    assert choose_splits(splits, train, test) == choice


@pytest.mark.parametrize(
    ("splits", "train", "test", "message"),
    [
        (("a", "b"), None, None, r"--train and --test; splits there are: a, b"),
        (("a", "b"), "a", None, r"--train was given without --test.*: a, b"),
        (("a", "b"), None, "b", r"--test was given without --train.*: a, b"),
        (("a", "b"), "a", "c", r"--test c: no such split; splits there are: a, b"),
        (("a", "b"), "a", "a", r"both a.*: a, b"),
        ((), "a", "b", r"--train a: no such split; the data set has no split folders"),
    ],
)
def test_unclear_choice_names_the_splits_there_are(
    splits: tuple[str, ...], train: str | None, test: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        choose_splits(splits, train, test)


def test_a_fifth_of_each_class_is_held_out() -> None:
    of = items({"a": 100, "b": 50, "c": 7})
    found = draw(of, SplitChoice("", None), seed=0)
    assert labels(found.test, of) == {"a": 20, "b": 10, "c": 1}
    assert sorted(found.train + found.test) == list(range(157))


@pytest.mark.parametrize(("count", "n_test"), [(1, 0), (2, 1), (3, 1), (5, 1), (8, 2)])
def test_small_classes_keep_something_to_learn(count: int, n_test: int) -> None:
    of = items({"a": count})
    found = draw(of, SplitChoice("", None), seed=0)
    assert (len(found.train), len(found.test)) == (count - n_test, n_test)


def test_seed_decides_the_draw() -> None:
    of = items({"a": 100, "b": 100})
    assert draw(of, SplitChoice("", None), seed=3) == draw(of, SplitChoice("", None), seed=3)
    assert set(draw(of, SplitChoice("", None), seed=3).test) != set(draw(of, SplitChoice("", None), seed=4).test)


def test_draw_is_the_same_on_every_machine() -> None:
    found = draw(items({"a": 10}), SplitChoice("", None), seed=0)
    assert found.test == PINNED_TEST


PINNED_TEST = (2, 0)


def test_shots_take_so_many_of_each_class_and_leave_the_test_whole() -> None:
    of = items({"a": 30, "b": 3}, "train") + items({"a": 10, "b": 10}, "test")
    found = draw(of, SplitChoice("train", "test"), seed=0, shots=5)
    assert labels(found.train, of) == {"a": 5, "b": 3}
    assert labels(found.test, of) == {"a": 10, "b": 10}
    more = draw(of, SplitChoice("train", "test"), seed=0, shots=6)
    assert set(found.train) < set(more.train)


def test_shots_leave_the_held_out_fifth_as_it_is() -> None:
    of = items({"a": 50, "b": 50})
    whole = draw(of, SplitChoice("", None), seed=1)
    few = draw(of, SplitChoice("", None), seed=1, shots=2)
    assert few.test == whole.test
    assert set(few.train) < set(whole.train)


def test_limit_reduces_each_class_of_each_split() -> None:
    of = items({"a": 30, "b": 4}, "train") + items({"a": 20}, "test")
    found = draw(of, SplitChoice("train", "test"), seed=0, limit=10)
    assert labels(found.train, of) == {"a": 10, "b": 4}
    assert len(found.test) == 10


def test_next_image_takes_the_place_of_an_excluded_one() -> None:
    of = items({"a": 30}, "train") + items({"a": 5}, "test")
    whole = draw(of, SplitChoice("train", "test"), seed=0, shots=5)
    bad = whole.train[2]
    mended = draw(of, SplitChoice("train", "test"), seed=0, shots=5, excluded=frozenset({bad, whole.test[0]}))
    assert len(mended.train) == 5
    assert set(whole.train) - set(mended.train) == {bad}
    assert mended.test == whole.test[1:]


def test_unused_splits_are_left_alone() -> None:
    of = items({"a": 5}, "train") + items({"a": 5}, "val") + items({"a": 5}, "test")
    found = draw(of, SplitChoice("train", "test"), seed=0)
    assert {of[i].split for i in found.train} == {"train"}
    assert {of[i].split for i in found.test} == {"test"}


def test_presentation_order_mixes_and_differs_by_pass_and_seed() -> None:
    names = [f"{i}.jpg" for i in range(50)]
    orders = [presentation_order(names, seed, number) for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert presentation_order(names, 0, 0) == orders[0]


def test_names_that_are_no_unicode_are_ordered_too() -> None:
    assert sorted(presentation_order(["a\udcff.jpg", "b.jpg"], 0, 0)) == [0, 1]
