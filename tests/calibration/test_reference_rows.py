from pathlib import Path

import numpy as np
import pytest

from support.evaluation_material import separable

pytest.importorskip("sklearn", reason="the baselines need scikit-learn: pip install 'edge-app[calibration]'")

from calibration.reference_rows import NAMES, bar, reference
from edge_app.evaluation import baselines


def test_rows_are_those_of_the_baselines(tmp_path: Path) -> None:
    material = separable()
    found = reference(material, 0, tmp_path)
    assert list(found) == ["1", "5", "all"]
    assert all(list(values) == list(NAMES) for values in found.values())
    curve = material.curves[0]
    seen = [*curve.stages[0].learn, *curve.stages[1].learn]
    rows = baselines.unit_rows(material.values)
    test = list(curve.test)
    decided = baselines.nearest_class_mean(rows[seen], material.labels[seen], rows[test], 4)
    assert found["5"]["nearest_class_mean"] == np.mean(decided == material.labels[test])


def test_figures_are_kept_and_read_again(tmp_path: Path) -> None:
    material = separable()
    first = reference(material, 0, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text().replace("1.0", "0.25"))
    assert reference(material, 0, tmp_path) != first


def test_other_embeddings_get_figures_of_their_own(tmp_path: Path) -> None:
    reference(separable(), 0, tmp_path)
    reference(separable(seed=1), 0, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_bar_is_the_better_of_two_row_by_row() -> None:
    rows = {
        "1": {"nearest_class_mean": 0.5, "streaming_lda": 0.9, "online_softmax": 0.1, "logistic_regression": 0.4},
        "all": {"nearest_class_mean": 0.6, "streaming_lda": 0.9, "online_softmax": 0.8, "logistic_regression": 0.7},
    }
    assert bar(rows) == {"1": 0.5, "all": 0.7}
