"""What to show next, in plain words."""

import pytest

from edge_app.control.standing import Mistakes, advice
from edge_app.pipeline.progress import Standing


@pytest.mark.parametrize(
    ("examples", "standing", "confused", "known", "wanted"),
    [
        (1, Standing(1, 0, 0), (), 1, "Teach a second thing"),
        (1, Standing(1, 0, 0), (), 3, "Show it 5 more times: another side"),
        (9, Standing(4, 4, 4), (), 3, "Show it once more: as it will be seen"),
        (9, Standing(9, 9, 9), (), 3, "Enough."),
        (9, Standing(9, 9, 4), (("pen", 3), ("key", 2)), 3, "Often taken for pen: show cup and pen in turn"),
    ],
)
def test_advice(
    examples: int, standing: Standing, confused: tuple[tuple[str, int], ...], known: int, wanted: str
) -> None:
    assert advice("cup", examples, standing, confused, known).startswith(wanted)


def test_mistakes_follow_corrections() -> None:
    mistakes = Mistakes()
    for number, (label, before) in enumerate(
        [("cup", None), ("cup", "pen"), ("cup", "cup"), ("cup", "key"), ("cup", "pen")]
    ):
        mistakes.taught(number, label, before)
    assert mistakes.of("cup") == (("pen", 2), ("key", 1))
    mistakes.keep_only([(1, "cup"), (2, "cup"), (4, "pen")])
    assert mistakes.of("cup") == (("pen", 1),)
    assert mistakes.of("pen") == ()
    assert (mistakes.before(1), mistakes.before(3)) == ("pen", None)
