"""Whether a stated confidence is what happens: reliability diagram and expected calibration error."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the expected calibration error and the bins that it is made of.

    confidence (k,) in 0..1, right (k,). Ten bins of equal width; the error is the mean over all decisions of the gap
    between a bin's mean confidence and its share of right decisions (Naeini, Cooper and Hauskrecht 2015).
    """
    found, error = [], 0.0
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        inside = place == number
        count = int(inside.sum())
        stated = float(confidence[inside].mean()) if count else None
        happened = float(right[inside].mean()) if count else None
        if stated is not None and happened is not None:
            error += abs(stated - happened) * count / len(confidence)
        found.append({"count": count, "confidence": stated, "right": happened})
    return {"expected_calibration_error": error, "bins": found}
