"""Seeded choice of the images to learn, their order, and the images to test; the same on every machine.

Every random choice is a sort by SHA-256 of the seed, the purpose and the image's name. So it does not
depend on a library's generator, and adding an image keeps the order of the others.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge_app.datasets.contents import TEST_NAMES, TRAIN_NAMES, VALIDATION_NAMES, Item
from edge_app.errors import InputError

TEST_SHARE = 0.2


class SplitChoice(NamedTuple):
    """The split folders to learn from and to test on; `test` None: a fifth of each class of `train` is tested."""

    train: str
    test: str | None


class Draw(NamedTuple):
    """Indices into the items of a data set."""

    train: tuple[int, ...]
    """Examples to learn, once each, in no meaningful order (`presentation_order` makes one)."""
    test: tuple[int, ...]


def choose_splits(splits: Sequence[str], train: str | None = None, test: str | None = None) -> SplitChoice:
    """Return the splits to use; InputError, naming the available ones, if that is ambiguous."""
    there = f"splits there are: {', '.join(splits)}" if splits else "the data set has no split folders (CLASS/*.jpg)"
    for option, name in (("--train", train), ("--test", test)):
        if name is not None and name not in splits:
            raise InputError(f"{option} {name}: no such split; {there}")
    if train is not None and test is not None:
        if train == test:
            raise InputError(f"--train and --test are both {train}: what was learnt cannot be tested; {there}")
        return SplitChoice(train, test)
    if train is not None or test is not None:
        given, missing = ("--train", "--test") if test is None else ("--test", "--train")
        raise InputError(f"{given} was given without {missing}; name both, or neither for the default; {there}")
    # CLASS/*.jpg: a fifth of each class is held out
    if not splits:
        return SplitChoice("", None)
    learn, tested = _named(splits, TRAIN_NAMES), _named(splits, TEST_NAMES) or _named(splits, VALIDATION_NAMES)
    if learn is not None and tested is not None:
        return SplitChoice(learn, tested)
    if len(splits) == 1:
        return SplitChoice(splits[0], None)
    raise InputError(f"name the splits to use with --train and --test; {there}")


def _named(splits: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the split that is called by the first of these names, in any case; None if there is none."""
    folded = {re.sub("[ -]", "_", split.lower()): split for split in splits}
    return next((folded[name] for name in names if name in folded), None)


def draw(
    items: Sequence[Item],
    choice: SplitChoice,
    *,
    seed: int,
    shots: int | None = None,
    limit: int | None = None,
    excluded: frozenset[int] = frozenset(),
) -> Draw:
    """Choose the images to learn and to test, class by class.

    Without a test split, a fifth of each class (rounded, at least 1, at most all but 1) is tested; a class with a
    single image is learnt and not tested. `limit` first reduces each class of each split to that many images; `shots`
    learns at most that many of each class. `excluded` images (corrupt ones) are left out, and the next ones take their
    place under `limit` and `shots`.
    """
    train: list[int] = []
    test: list[int] = []
    for pool in _by_class(items, choice.train):
        # excluded before the limit, so that the next images take their places
        order = [i for i in _seeded(items, pool, seed, "split") if i not in excluded][:limit]
        n_test = 0 if choice.test is not None else _test_count(len(order))
        test += order[:n_test]
        train += order[n_test:][:shots]
    if choice.test is not None:
        for pool in _by_class(items, choice.test):
            test += [i for i in _seeded(items, pool, seed, "test") if i not in excluded][:limit]
    return Draw(tuple(train), tuple(test))


def presentation_order(names: Sequence[str], seed: int, number: int) -> list[int]:
    """Return the order (indices into `names`) of pass `number`, counted from 0."""
    key = _key(seed, f"pass {number}")
    return sorted(range(len(names)), key=lambda i: key(names[i]))


def _test_count(count: int) -> int:
    # at least one image of each class has to be learnt
    return 0 if count < 2 else min(max(1, round(TEST_SHARE * count)), count - 1)


def _by_class(items: Sequence[Item], split: str) -> list[list[int]]:
    pools: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        if item.split == split:
            pools[item.label].append(index)
    return [pools[label] for label in sorted(pools)]


def _seeded(items: Sequence[Item], pool: Sequence[int], seed: int, purpose: str) -> list[int]:
    key = _key(seed, purpose)
    return sorted(pool, key=lambda i: key(items[i].name))


def _key(seed: int, purpose: str) -> Callable[[str], bytes]:
    # \0 cannot occur in a name
    start = hashlib.sha256(f"{seed}\0{purpose}\0".encode())

    def key(name: str) -> bytes:
        digest = start.copy()
        # names of files that are not UTF-8
        digest.update(name.encode("utf-8", "surrogateescape"))
        return digest.digest()

    return key
