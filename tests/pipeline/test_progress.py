"""Have I shown it enough?"""

from edge_app.pipeline.progress import OVER, REMEMBERED, Progress, Standing


def test_each_example_counts_but_the_one_that_made_the_class() -> None:
    progress = Progress()
    progress.taught(1, "mug", predicted=None, known=False)
    progress.taught(2, "mug", predicted="mug", known=True)
    progress.taught(3, "pen", predicted="mug", known=False)
    progress.taught(4, "mug", predicted="pen", known=True)
    progress.taught(5, "mug", predicted=None, known=True)
    assert progress.standings() == {"mug": Standing(4, 3, 1), "pen": Standing(1, 0, 0)}


def test_enough_is_several_right_ones_lately() -> None:
    progress = Progress()
    for number in range(30):
        progress.taught(number, "mug", predicted="pen" if number < 15 else "mug", known=number > 0)
        assert progress.standings()["mug"].enough == (number >= 15 + 8 - 1)
    assert progress.standings()["mug"] == Standing(30, OVER, OVER)
    assert not Standing(4, 3, 3).enough


def test_corrections_are_followed() -> None:
    progress = Progress()
    for number in range(3):
        progress.taught(number, "mug", predicted="mug", known=number > 0)
    progress.keep_only([(0, "mug"), (1, "cup")])
    assert progress.standings() == {"mug": Standing(1, 0, 0), "cup": Standing(1, 1, 1)}
    progress.keep_only([])
    assert progress.standings() == {}


def test_memory_is_bounded() -> None:
    progress = Progress()
    for number in range(REMEMBERED + 10):
        progress.taught(number, "mug", predicted="mug", known=True)
    assert progress.standings()["mug"].taught == REMEMBERED
