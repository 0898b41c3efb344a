"""The measure of groups: coverage and purity."""

import numpy as np

from calibration.groups import quality


def test_a_mixed_group_lowers_the_purity_and_a_single_picture_the_coverage() -> None:
    rows = np.zeros((6, 8), np.uint8)
    rows[:3, 0] = rows[3:5, 1] = rows[5, 2] = 9
    labels = ["mug", "mug", "pen", "key", "key", "cup"]
    found = quality(labels, rows, 0.8)
    assert found == {"alike": 0.8, "groups": 2, "grouped": 0.833, "pure": 0.8}
    assert quality(labels[5:], rows[5:], 0.8)["pure"] == 1.0
