import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError, RuntimeMissing
from edge_app.evaluation.plots import plot_evaluation
from edge_app.evaluation.protocol import Evaluation
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import Setting, Trial


def invented(n_classes: int, n_test: int = 400, repeats: int = 1) -> Evaluation:
    """Figures of an evaluation that never was: four fifths correct, some unknown."""
    random = np.random.default_rng(1)
    trials = []
    for seed in range(repeats):
        truth = random.integers(0, n_classes, n_test)
        decided = np.where(random.random(n_test) < 0.8, truth, random.integers(-1, n_classes, n_test))
        hits = random.random(1000) < np.linspace(0.1, 0.8, 1000)
        trials.append(Trial(seed, 1000, truth, decided, hits, {}))
    classes = tuple(f"class {number:02}" for number in range(n_classes))
    return Evaluation(Setting(SplitChoice("", None), repeats=repeats), classes, trials, {})


@pytest.mark.parametrize(("n_classes", "repeats"), [(1, 1), (10, 3), (81, 1)])
def test_writes_a_picture(tmp_path: Path, n_classes: int, repeats: int) -> None:
    from PIL import Image

    path = tmp_path / "figure.png"
    plot_evaluation(invented(n_classes, repeats=repeats), "invented", path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 500
        assert len(image.convert("RGB").getcolors(1_000_000)) > 50


def test_labels_of_any_script_and_with_dollar_signs_are_no_formulas(tmp_path: Path) -> None:
    evaluation = invented(2)
    evaluation.classes = ("$^{$", "杯子")
    plot_evaluation(evaluation, "price $ and $ {", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()


def test_missing_library_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    with pytest.raises(RuntimeMissing, match=r"pip install 'edge-app\[plot\]'"):
        plot_evaluation(invented(2), "title", tmp_path / "figure.png")


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*No such file"):
        plot_evaluation(invented(2), "title", tmp_path / "nowhere" / "figure.png")
