"""Clusters of a head's rows become counts that the rate code could have made."""

import numpy as np

from calibration.background import background, cluster
from edge_app.encoder.ratecode import RateCode


def test_rows_of_one_kind_fall_into_one_cluster() -> None:
    random = np.random.default_rng(1)
    kinds = np.eye(12)[[0, 4, 8]]
    rows = np.repeat(kinds, 20, axis=0) + 0.05 * random.random((60, 12))
    place = cluster(rows / np.linalg.norm(rows, axis=1, keepdims=True), 3)
    assert sorted(len(set(place[start : start + 20].tolist())) for start in (0, 20, 40)) == [1, 1, 1]
    assert len(set(place.tolist())) == 3


def test_the_background_shows_each_kind_where_it_is_positive_and_nowhere_else() -> None:
    head = np.repeat([[3.0, -2.0, 0.0, 3.0], [-1.0, 2.0, 2.0, -4.0]], 5, axis=0)
    counts = background(head, RateCode(4, exponent=1.0, saturation=2.0), 2)
    assert counts.dtype == np.uint8
    assert sorted(map(tuple, (counts > 0).tolist())) == [(False, True, True, False), (True, False, False, True)]
