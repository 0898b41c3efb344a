import numpy as np
import pytest

from edge_app.evaluation.reliability import reliability


def test_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 1.0, 0.25, 0.25])
    right = np.array([True, True, False, False, False])
    found = reliability(confidence, right)
    assert found["expected_calibration_error"] == pytest.approx((abs(2.9 - 2) + 0.5) / 5)
    assert [one["count"] for one in found["bins"]] == [0, 0, 2, 0, 0, 0, 0, 0, 0, 3]
    assert found["bins"][9] == {"count": 3, "confidence": pytest.approx(2.9 / 3), "right": pytest.approx(2 / 3)}
    assert found["bins"][0] == {"count": 0, "confidence": None, "right": None}


def test_what_is_calibrated_has_no_error_and_what_is_not_has() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(20_000)
    right = random.random(20_000) < confidence
    assert reliability(confidence, right)["expected_calibration_error"] < 0.02
    assert reliability(confidence, ~right)["expected_calibration_error"] > 0.4
