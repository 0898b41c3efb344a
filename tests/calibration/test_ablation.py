import json
from pathlib import Path

import numpy as np
import pytest

from support.evaluation_material import INPUTS, coloured, separable

pytest.importorskip("optuna", reason="calibration needs Optuna: pip install 'edge-app[calibration]'")
pytest.importorskip("sklearn", reason="the baselines need scikit-learn: pip install 'edge-app[calibration]'")

from calibration import ablated, ablation
from calibration.validation import accuracies
from edge_app.colanet import kernels
from edge_app.colanet.columns import Columns
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.params import Decorrelated, Params
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError

PLAIN = Params(plasticity=Decorrelated(novelty=0, correction=0))
"""Without what would carry a difference in weights over to what is learnt."""


def taught(kind: type[DecorrelatedColumns]) -> tuple[DecorrelatedColumns, dict[str, float]]:
    material = separable()
    network = ablated.network(PLAIN, INPUTS, kind)
    rows = accuracies(network, material, RateCode(INPUTS)(material.values), 0)
    columns: Columns = network.columns
    assert isinstance(columns, kind)
    return columns, rows


def identity(columns: DecorrelatedColumns) -> bool:
    return bool((columns.decorrelation == np.eye(INPUTS, dtype=np.int64) << 30).all())


def follows_mean(columns: DecorrelatedColumns) -> bool:
    """Whether V is the mean, but for what rounding leaves."""
    return bool((np.abs(columns.drive / 2**20 - columns.mean / 2**24) < 0.01).all())


def test_each_switch_takes_out_its_part_and_no_other() -> None:
    whole, _ = taught(DecorrelatedColumns)
    assert not identity(whole)
    assert not follows_mean(whole)
    alone, _ = taught(ablated.RewardAlone)
    assert identity(alone)
    assert follows_mean(alone)
    without, _ = taught(ablated.NoInputInhibition)
    assert identity(without)
    assert not follows_mean(without)
    no_loss, _ = taught(ablated.NoLoss)
    assert (no_loss.decorrelation == whole.decorrelation).all()
    assert not (no_loss.drive == whole.drive).all()


def test_without_inhibition_between_columns_there_is_no_tonic_drive() -> None:
    whole, _ = taught(DecorrelatedColumns)
    without, _ = taught(ablated.NoSharedInhibition)
    assert (without.drive == whole.drive).all()
    assert np.abs(without.tonic).max() < 100 < np.abs(whole.tonic).max()


def test_without_scaling_neurons_keep_the_ratio_of_their_norms() -> None:
    whole, _ = taught(DecorrelatedColumns)
    without, _ = taught(ablated.NoScaling)
    ratio = np.linalg.norm(without.weights, axis=0) / np.linalg.norm(whole.weights, axis=0)
    assert ratio.max() / ratio.min() > 1.02
    cosine = (without.weights.astype(float) * whole.weights).sum(axis=0)
    cosine /= np.linalg.norm(without.weights.astype(float), axis=0) * np.linalg.norm(
        whole.weights.astype(float), axis=0
    )
    assert cosine.min() > 0.999


@pytest.mark.parametrize(("kind", "levels"), [(ablated.CoarseWeights, 255), (ablated.VeryCoarseWeights, 15)])
def test_coarse_weights_have_few_levels(kind: type[ablated.CoarseWeights], levels: int) -> None:
    whole, _ = taught(DecorrelatedColumns)
    coarse, _ = taught(kind)
    assert np.unique(coarse.weights).size <= levels
    assert np.abs(coarse.weights.astype(int) - whole.weights).max() <= np.abs(whole.weights).max() / (levels - 1) + 1


def test_first_spike_decides() -> None:
    columns, _ = taught(ablated.FirstSpike)
    activity = columns.present(np.full(INPUTS, 5, np.uint8))
    activity.first[:] = [[4], [2], [2], [9]]
    activity.spikes[:] = [[9], [1], [2], [0]]
    totals = np.empty((kernels.EXCITATION + 1, 4), np.int64)
    kernels.tally(activity, columns.threshold, totals)
    best, _ = kernels.winner_of(totals, np.array(columns.ranks))
    assert best == 2


def test_the_float_twin_decides_alike() -> None:
    material = separable()
    by_name = {line.name: line for line in ablation.lines()}
    exact = by_name["default"].run(material, 0)
    assert by_name["default in floating point"].run(material, 0) == pytest.approx(exact, abs=0.1)


def test_a_difference_is_taken_on_the_same_draws() -> None:
    default = {"draws": {"0": {"a": 0.5, "b": 0.7}, "1": {"a": 0.1, "b": 0.1}}}
    assert ablation.difference({"draws": {"0": {"a": 0.4, "b": 0.6}}}, default)[0] == pytest.approx(-10)
    gap, error = ablation.difference({"draws": {"0": {"a": 0.5, "b": 0.9}, "1": {"a": 0.1, "b": 0.1}}}, default)
    assert (gap, error) == (pytest.approx(5), pytest.approx(5))


def command(folder: Path, *more: str) -> list[str]:
    places = ["--data", str(folder), "--cache", str(folder / "cache"), "--out", str(folder / "out")]
    return [*places, "--sets", "sign_digits", "--draws", "0", *more]


def test_lines_are_measured_and_kept(tmp_path: Path) -> None:
    coloured(tmp_path, count=10)
    assert ablation.main(command(tmp_path)) == 0
    kept = tmp_path / "out" / "ablation.json"
    before = json.loads(kept.read_text())
    assert next(iter(before["lines"])) == "default"
    assert {line.name for line in ablation.lines()} < before["lines"].keys()
    text = (tmp_path / "out" / "ablation.md").read_text()
    assert text.count("\n") == 2 + len(before["lines"])
    before["lines"]["K = 2"]["seconds"] = -1
    kept.write_text(json.dumps(before))
    assert ablation.main(command(tmp_path, "--only", "K = 2")) == 0
    after = json.loads(kept.read_text())
    assert after["lines"]["K = 2"]["seconds"] >= 0
    assert after["lines"]["K = 4"] == before["lines"]["K = 4"]


def test_lines_of_another_setting_are_not_mixed(tmp_path: Path) -> None:
    coloured(tmp_path, count=10)
    with pytest.raises(InputError, match="no such file; measure all lines once"):
        ablation.main(command(tmp_path, "--only", "K = 2"))
    with pytest.raises(InputError, match="line 'K = 3' is not known"):
        ablation.main(command(tmp_path, "--only", "K = 3"))
    (tmp_path / "out").mkdir()
    other = {"sets": ["grocery"], "draws": [0], "images_of_an_imagenet64_class": 80, "lines": {}}
    (tmp_path / "out" / "ablation.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="was measured with"):
        ablation.main(command(tmp_path, "--only", "K = 2"))
