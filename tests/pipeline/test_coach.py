"""The teaching coach: each warning is given where it applies and nowhere else; and the most similar examples."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.pipeline import coach
from edge_app.pipeline.coach import Advice, Coach, TaughtExamples, advise, blur_of, correlation, mosaic_of, similarities
from edge_app.storage.records import Example

SIDE = 224
SECOND = 10**9


def picture(seed: int) -> NDArray[np.uint8]:
    """A picture with detail of all sizes, (SIDE, SIDE, 3)."""
    random = np.random.default_rng(seed)
    values = np.zeros((SIDE, SIDE, 3))
    for cells in (4, 14, 56, SIDE):
        part = random.normal(0, 25, (cells, cells, 3))
        values += np.repeat(np.repeat(part, SIDE // cells, axis=0), SIDE // cells, axis=1)
    return np.clip(110 + values, 0, 255).astype(np.uint8)


def shaken(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture that was moved back and forth while it was taken."""
    return smoothed(smoothed(image, 15), 15)


def smoothed(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """A picture that moved by `width` pixels while it was taken."""
    values = image.astype(np.float64)
    return np.mean([np.roll(values, shift, axis=1) for shift in range(width)], axis=0).astype(np.uint8)


def counts(seed: int, near: NDArray[np.uint8] | None = None, share: float = 0.9) -> NDArray[np.uint8]:
    """Return random spike counts (64,); with `near`, a copy of those with a part changed."""
    random = np.random.default_rng(seed)
    found = random.integers(0, 11, 64).astype(np.uint8) * (random.random(64) < 0.4).astype(np.uint8)
    return found if near is None else np.where(random.random(64) < share, near, found).astype(np.uint8)


def taught(*rows: tuple[int, str, int, NDArray[np.uint8]], **mosaics: NDArray[np.uint8]) -> TaughtExamples:
    ids, labels, times, shown = zip(*rows, strict=True)
    found = {int(name.removeprefix("example_")): mosaic_of(image) for name, image in mosaics.items()}
    return TaughtExamples(ids, labels, times, np.stack(shown), found)


def kinds(found: tuple[Advice, ...]) -> list[str]:
    return [one.kind for one in found]


NOTHING = TaughtExamples((), (), (), np.zeros((0, 64), np.uint8), {})


def test_a_good_picture_is_worth_no_warning() -> None:
    assert advise(picture(1), counts(1), "mug", 0, NOTHING) == ()


def test_nearly_black_is_said_and_nothing_else() -> None:
    dark = (picture(1) // 16).astype(np.uint8)
    other = taught((1, "mug", 0, counts(1)), example_1=dark)
    assert kinds(advise(dark, counts(1), "mug", 1, other)) == ["dark"]
    lamp = dark.copy()
    lamp[:60] = 200
    assert "dark" not in kinds(advise(lamp, counts(1), "mug", 1, NOTHING))


def test_events_in_two_colours_are_neither_dark_nor_blurred() -> None:
    """Edges alone are not black, however few they are; without any the picture is."""
    events = np.zeros((SIDE, SIDE, 3), np.uint8)
    events[50:150, 50, 2] = events[50:150, 150, 0] = events[50, 50:150, 2] = 192
    assert kinds(advise(events, counts(1), "mug", 1, NOTHING)) == []
    assert kinds(advise(np.zeros_like(events), counts(1), "mug", 1, NOTHING)) == ["dark"]


def test_blurred_is_said_of_a_movement_sideways_and_upwards() -> None:
    sharp = picture(2)
    assert "blurred" not in kinds(advise(sharp, counts(1), "mug", 0, NOTHING))
    upwards = shaken(sharp.transpose(1, 0, 2)).transpose(1, 0, 2)
    for blurred in (shaken(sharp), upwards):
        assert kinds(advise(blurred, counts(1), "mug", 0, NOTHING)) == ["blurred"]


def test_blur_is_a_share_and_an_even_picture_has_all_of_it() -> None:
    assert blur_of(np.full((32, 32, 3), 90, np.uint8)) == 1
    assert 0 <= blur_of(picture(3)) < blur_of(smoothed(picture(3), 5)) < blur_of(smoothed(picture(3), 21)) <= 1


def test_the_same_picture_is_found_in_spite_of_noise() -> None:
    first = picture(3)
    noisy = np.clip(first + np.random.default_rng(0).normal(0, 4, first.shape), 0, 255).astype(np.uint8)
    known = taught((7, "mug", 0, counts(1)), example_7=first)
    (found,) = advise(noisy, counts(2), "mug", SECOND, known)
    assert (found.kind, found.example, found.label) == ("same", 7, "mug")
    assert found.text == "the same picture as example 7: turn it, or show it from another side"
    assert advise(picture(4), counts(2), "mug", SECOND, known) == ()


def test_the_same_picture_under_another_class_names_that_class() -> None:
    known = taught((7, "mug", 0, counts(1)), (8, "key", 0, counts(2)), example_7=picture(3), example_8=picture(4))
    (found,) = advise(picture(4), counts(5), "mug", SECOND, known)
    assert (found.kind, found.example, found.label) == ("same", 8, "key")
    assert "which was taught as key: undo one of them" in found.text
    assert advise(picture(3), counts(5), "pen", SECOND, known) == ()  # not the last, and not of its class
    assert kinds(advise(picture(3), counts(5), "mug", SECOND, known)) == ["same"]  # the last of its class


def test_much_more_like_another_class_is_said_with_the_example() -> None:
    mug, key = counts(1), counts(2)
    known = taught((3, "mug", 0, mug), (4, "key", 0, key))
    (found,) = advise(picture(5), counts(9, key), "mug", SECOND, known)
    assert (found.kind, found.example, found.label) == ("resembles", 4, "key")
    assert found.text == "it looks like key (example 4) more than like mug: if it is, undo it"
    assert advise(picture(5), counts(9, mug), "mug", SECOND, known) == ()
    assert advise(picture(5), counts(9, key), "pen", SECOND, known) == ()  # a new class looks like something
    between = np.where(np.arange(64) % 2, mug, key)
    assert advise(picture(5), between, "mug", SECOND, known) == ()


def test_one_minute_is_one_sided_from_the_fifth_example_on() -> None:
    rows = [(number, "mug", number * SECOND, counts(number)) for number in range(4)]
    (found,) = advise(picture(6), counts(9), "mug", 30 * SECOND, taught(*rows))
    assert found.kind == "one-sided"
    assert found.text.startswith("all 5 examples of mug are from one minute")
    assert advise(picture(6), counts(9), "mug", 30 * SECOND, taught(*rows[:3])) == ()
    assert advise(picture(6), counts(9), "mug", 60 * SECOND, taught(*rows)) == ()
    six = [*rows, (9, "mug", 5 * SECOND, counts(9))]
    assert advise(picture(6), counts(10), "mug", 30 * SECOND, taught(*six)) == ()  # said once, and again at ten


def test_similarities_are_cosines() -> None:
    rows = np.stack([counts(1), np.zeros(64, np.uint8), counts(2)])
    found = similarities(counts(1), rows)
    wanted = counts(1).astype(float) @ counts(2) / np.linalg.norm(counts(1)) / np.linalg.norm(counts(2))
    assert found.tolist() == pytest.approx([1, 0, wanted])
    assert similarities(counts(1), np.repeat(rows, 400, axis=0)).tolist() == np.repeat(found, 400).tolist()
    assert correlation(mosaic_of(np.zeros((32, 32, 3), np.uint8)), mosaic_of(picture(1))) == 0


def stored(number: int, label: str) -> Example:
    return Example(number, label, number * SECOND, "page", True)


class Asked:
    """Spike counts of stored examples; remembers which ones were asked for."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, number: int) -> NDArray[np.uint8]:
        self.numbers.append(number)
        if number == 13:
            raise InputError("there is no example 13")
        return counts(number)


def test_it_remembers_the_newest_of_each_class_and_reads_each_once() -> None:
    asked = Asked()
    one = Coach(asked)
    examples = [stored(number, "mug" if number % 2 else "key") for number in range(1, 101)]
    one.follow(examples)
    assert asked.numbers == []
    one.load(10)
    assert asked.numbers == list(range(69, 79))
    assert [found.example for found in one.most_similar(counts(80), 1)] == [80]
    assert asked.numbers == list(range(69, 101))
    one.follow([example._replace(label="cup") for example in examples[50:]])
    assert {found.label for found in one.most_similar(counts(80), 50)} == {"cup"}
    assert len(one.most_similar(counts(80), 50)) == coach.PER_CLASS
    assert asked.numbers == list(range(69, 101))


def test_an_example_that_cannot_be_read_is_left_out() -> None:
    one = Coach(Asked())
    one.follow([stored(12, "mug"), stored(13, "mug")])
    assert [found.example for found in one.most_similar(counts(13))] == [12]


def test_what_was_taught_is_compared_with_from_then_on() -> None:
    one = Coach(Asked())
    assert one.taught(1, "mug", 0, counts(1), picture(1)) == ()
    assert kinds(one.taught(2, "mug", SECOND, counts(2), picture(1))) == ["same"]
    assert one.taught(3, "mug", SECOND, counts(3), picture(1), alone=False) == ()
    assert one.most_similar(counts(3))[0].example == 3
    one.follow([stored(1, "mug")])  # the others were undone
    assert [found.example for found in one.most_similar(counts(3))] == [1]
    for number in range(10, 10 + coach.PER_CLASS):
        one.taught(number, "mug", number * 1000 * SECOND, counts(number), picture(number), alone=False)
    assert 1 not in [found.example for found in one.most_similar(counts(1), 100)]
