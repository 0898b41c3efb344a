"""The advice on what to show next, in plain words."""

import pytest

from edge_app.control.class_reports import advice, class_reports
from edge_app.pipeline.accuracy import ClassAccuracy


@pytest.mark.parametrize(
    ("examples", "accuracy", "confused", "known", "wanted"),
    [
        (1, ClassAccuracy(1, 0, 0), (), 1, "Teach a second thing"),
        (1, ClassAccuracy(1, 0, 0), (), 3, "Show it 5 more times: another side"),
        (9, ClassAccuracy(4, 4, 4), (), 3, "Show it once more: as it will be seen"),
        (9, ClassAccuracy(9, 9, 9), (), 3, "Enough."),
        (9, ClassAccuracy(9, 9, 4), (("pen", 3), ("key", 2)), 3, "Often taken for pen: show cup and pen in turn"),
    ],
)
def test_advice(
    examples: int, accuracy: ClassAccuracy, confused: tuple[tuple[str, int], ...], known: int, wanted: str
) -> None:
    assert advice("cup", examples, accuracy, confused, known).startswith(wanted)


def test_a_report_names_the_classes_that_it_was_taken_for_not_the_unknown() -> None:
    accuracy = ClassAccuracy(9, 9, 4, (("pen", 2), (None, 2), ("key", 1)))
    found = class_reports({"cup": 9, "pen": 1}, {"cup": accuracy})
    assert found[0].confused_with == (("pen", 2), ("key", 1))
    assert found[1].accuracy == ClassAccuracy(0, 0, 0)
