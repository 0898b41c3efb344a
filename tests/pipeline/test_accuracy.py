"""The test-then-train accuracy of each class."""

from edge_app.pipeline.accuracy import OVER, AccuracyTracker, ClassAccuracy, ScoredExample, judge
from edge_app.storage.records import Example, Prediction


def example(number: int, label: str, before: str | None, of: int | None = None) -> Example:
    """An example, what was decided before it was learnt, and an example of that class."""
    return Example(number, label, 0, "button", False, Prediction(before, of, 2048, 1024, 2))


def accuracies(*examples: Example) -> dict[str, ClassAccuracy]:
    tracker = AccuracyTracker()
    tracker.follow(judge(examples))
    return tracker.classes()


def test_each_example_counts_but_the_one_that_made_the_class() -> None:
    found = accuracies(
        example(1, "mug", None),
        example(2, "mug", "mug", 1),
        example(3, "pen", "mug", 2),
        example(4, "mug", "pen", 3),
        example(5, "mug", None),
        example(6, "mug", "pen", 3),
    )
    assert found == {"mug": ClassAccuracy(5, 4, 1, (("pen", 2), (None, 1))), "pen": ClassAccuracy(1, 0, 0)}


def test_what_is_taught_one_by_one_is_what_is_read_from_the_store() -> None:
    examples = [example(n, ("mug", "pen")[n % 2], ("mug", "pen", None)[n % 3], 1) for n in range(40)]
    tracker = AccuracyTracker()
    for one in judge(examples):
        tracker.taught(one)
    assert tracker.classes() == accuracies(*examples)


def test_enough_is_several_right_ones_lately() -> None:
    tracker = AccuracyTracker()
    before = Prediction("mug", 1, 1, 1, 2)
    for number in range(30):
        tracker.taught(ScoredExample("mug", "pen" if number < 15 else "mug", before if number else None))
        assert tracker.classes()["mug"].enough == (number >= 15 + 8 - 1)
    assert tracker.classes()["mug"] == ClassAccuracy(30, OVER, OVER)
    assert not ClassAccuracy(4, 3, 3).enough


def test_what_was_never_predicted_counts_as_taught_only() -> None:
    old = Example(2, "mug", 0, "button", False)
    assert accuracies(example(1, "mug", None), old) == {"mug": ClassAccuracy(2, 0, 0)}


def test_a_slip_that_was_relabelled_is_judged_by_its_class() -> None:
    found = accuracies(example(1, "cup", None), example(2, "mug", None), example(3, "cup", "cup", 1))
    assert found["cup"] == ClassAccuracy(2, 1, 1)
    assert accuracies(example(2, "mug", None), example(3, "cup", "mug", 2))["cup"] == ClassAccuracy(1, 0, 0), (
        "the first now"
    )


def test_a_class_that_was_renamed_or_merged_is_known_again() -> None:
    taught = [example(1, "mug", None), example(2, "mug", "mug", 1), example(3, "mug", "mug", 2)]
    renamed = [one._replace(label="cup") for one in taught]
    assert accuracies(*renamed) == {"cup": ClassAccuracy(3, 2, 2)}
    into = [example(4, "cup", None), example(5, "cup", "mug", 3), *(one._replace(label="cup") for one in taught)]
    assert accuracies(*sorted(into))["cup"] == ClassAccuracy(5, 4, 3, ((None, 1),))


def test_a_class_that_was_forgotten_keeps_the_name_that_it_had() -> None:
    found = accuracies(example(1, "mug", None), example(5, "mug", "pen", 3))
    assert found["mug"].confused == (("pen", 1),)
