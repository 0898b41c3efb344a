import numpy as np

from edge_app.events.drawing import draw, grey


def test_grey_is_128_without_events_and_ends_at_8() -> None:
    change = np.array([[-300, -8, -1, 0, 1, 8, 300]], np.int16)
    picture = grey(change)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture[0, :, 0].tolist() == [8, 8, 113, 128, 143, 248, 248]
    assert (picture == picture[:, :, :1]).all()


def test_red_is_off_and_blue_is_on() -> None:
    counts = np.array([[[0, 1, 0, 9]], [[0, 0, 2, 32767]]], np.int16)
    assert draw(counts, "red-blue")[0].tolist() == [[0, 0, 0], [0, 0, 128], [192, 0, 0], [255, 0, 255]]


def test_grey_of_counts_is_on_less_off() -> None:
    counts = np.array([[[3, 0]], [[1, 32767]]], np.int16)
    assert draw(counts, "grey")[0, :, 0].tolist() == [158, 8]
