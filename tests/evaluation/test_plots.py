import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_app.errors import InputError, RuntimeMissing
from edge_app.evaluation.plots import plot
from edge_app.evaluation.protocol import Evaluation
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import EvaluationSettings, Trial


def invented(n_classes: int, n_test: int = 400, repeats: int = 1, classes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Figures of an evaluation that never was: four fifths correct, some unknown."""
    random = np.random.default_rng(1)
    trials = []
    for seed in range(repeats):
        truth = random.integers(0, n_classes, n_test)
        decided = np.where(random.random(n_test) < 0.8, truth, random.integers(-1, n_classes, n_test))
        hits = random.random(1000) < np.linspace(0.1, 0.8, 1000)
        trials.append(Trial(seed, 1000, truth, decided, hits, random.random(n_test), decided < 0, {}))
    classes = classes or tuple(f"class {number:02}" for number in range(n_classes))
    values = Evaluation(EvaluationSettings(SplitChoice("", None), repeats=repeats), classes, trials, {}).to_dict()
    return values | {"protocol": "standard", "dataset": "invented $ and ${"}


def continual_values(rehearsed: bool) -> dict[str, Any]:
    steps = {"steps": [1.0, 0.9, 0.8]}
    regime = steps | {"random_order": 0.8, "rehearsed": steps if rehearsed else None, "joint": None}
    regimes = {"stable": regime | {"joint": steps}, "plastic": regime}
    return {"protocol": "continual", "dataset": "d", "shots": None, "n_train": 30, "regimes": regimes}


def openset_values() -> dict[str, Any]:
    score = {"auroc": 0.8, "roc": np.linspace(0, 1, 11).tolist()}
    names = ("novelty", "familiarity", "relative_mahalanobis", "nearest_neighbour", "cosine")
    return {"protocol": "openset", "dataset": "d", "shots": 5, "n_train": 30, "scores": dict.fromkeys(names, score)}


def noisy_values() -> dict[str, Any]:
    tried = [{"noise": share, "accuracy": 0.9 - share, "baselines": {"knn3": 0.7}} for share in (0.0, 0.1, 0.2)]
    return {
        "protocol": "noisy",
        "dataset": "d",
        "shots": None,
        "n_train": 30,
        "clean": tried[0],
        "noisy": tried[1:],
    }


@pytest.mark.parametrize(("n_classes", "repeats"), [(1, 1), (10, 3), (81, 1)])
def test_writes_a_picture(tmp_path: Path, n_classes: int, repeats: int) -> None:
    from PIL import Image

    path = tmp_path / "figure.png"
    plot(invented(n_classes, repeats=repeats), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 500
        assert len(image.convert("RGB").getcolors(1_000_000)) > 50


def test_labels_of_any_script_and_with_dollar_signs_are_no_formulas(tmp_path: Path) -> None:
    plot(invented(2, classes=("$^{$", "杯子")), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()


def test_missing_library_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    with pytest.raises(RuntimeMissing, match=r"pip install 'edge-app\[plot\]'"):
        plot(invented(2), tmp_path / "figure.png")


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*No such file"):
        plot(invented(2), tmp_path / "nowhere" / "figure.png")


@pytest.mark.parametrize("values", [continual_values(True), continual_values(False), openset_values(), noisy_values()])
def test_each_protocol_has_a_picture_and_the_same_bytes_again(tmp_path: Path, values: dict[str, Any]) -> None:
    plot(values, tmp_path / "one.png")
    plot(values, tmp_path / "two.png")
    one = (tmp_path / "one.png").read_bytes()
    assert one.startswith(b"\x89PNG")
    assert one == (tmp_path / "two.png").read_bytes()
