import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import measure, neurons, page, plan, strangers
from benchmarks.accuracy.plan import SETS, PlannedSet
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from support.pictures import fill

COLOURS = PlannedSet("colours", "colours", (None, 2), 2, False, 1, 4)


def test_every_part_of_the_plan_is_measured_and_not_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "colours", ["red", "green", "blue", "grey"], count=15)
    ledger = ResultsFile(tmp_path / "results.json")
    measure.measure_all(tmp_path, tmp_path / "cache", ledger, [COLOURS], conventional_only=True)
    assert {key.split("/")[0] for key in ledger.entries} == {"options", "baselines"}
    measure.measure_all(tmp_path, tmp_path / "cache", ledger, [COLOURS], conventional_only=False)
    kinds = {"options", "baselines", "colanet", "consolidated", "openset", "newcomer", "continual", "metrics", "noisy"}
    assert {key.split("/")[0] for key in ledger.entries} == kinds
    assert ledger.found("colanet/colours/all")["accuracy"] > 0.9
    after = ledger.found("consolidated/colours/2")
    assert (after["dreams"], after["dreamt"]) == (1, 8)
    assert after["before"] == ledger.found("colanet/colours/2")["accuracy"]
    assert ledger.found("baselines/colours/2")["accuracy"]["nearest_class_mean"] > 0.9
    kept = ledger.path.read_bytes()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    for name in (
        "evaluate",
        "evaluate_noisy",
        "run_baselines",
        "run_continual",
        "run_openset",
        "run_newcomer",
        "choose",
    ):
        monkeypatch.setattr(measure, name, never)
    measure.measure_all(tmp_path, tmp_path / "cache", ResultsFile(ledger.path), [COLOURS], conventional_only=False)
    assert ledger.path.read_bytes() == kept


def test_strangers_are_the_photographs_and_the_other_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "STRANGERS", {"colours": ((2, 2),)})
    monkeypatch.setattr(plan, "STRANGER_IMAGES", 5)
    fill(tmp_path / "colours", ["red", "green", "blue", "grey"], count=6)
    fill(tmp_path / "others", ["red", "blue"], count=6)
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w") as archive:
        for path in sorted((tmp_path / "others").rglob("*.*")):
            archive.write(path, f"{path.parent.name}-{path.stem}.jpg")
    ledger, cache = ResultsFile(tmp_path / "results.json"), tmp_path / "cache"
    sets = [COLOURS, COLOURS._replace(name="others", file="others")]
    measured = {one.name: measure.Measured(one, tmp_path, cache, ledger, Params()) for one in sets}
    embeddings, counts = strangers.photographs(tmp_path / "photographs.zip", cache)
    assert embeddings.shape == counts.shape == (5, 1280)
    strangers.measure_strangers(measured, (embeddings, counts))
    found = ledger.found("strangers/colours/2x2")
    assert set(found["kinds"]) == {"photographs", "others"}
    assert all(0 <= one["named"] <= 1 and set(one["false_accept"]) >= {"novelty"} for one in found["kinds"].values())
    rows = page.strangers(ledger)
    assert len(rows) == 1, "a set that is not in the plan has no line"


def test_the_demo_is_counted_once_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = []

    def play(options: Any, stream: Any) -> dict[str, Any]:
        played.append(options.seed)
        score = {"right": 60, "total": 64}
        return {
            "test_then_train": score, "naming": {**score, "lost": 1}, "added_class": {**score, "others": score},
            "undo_exact": True, "never_taught": {"unknown": 5, "cat": 1}, "ms": {}, "picture": "p", "seconds": 1.0,
        }  # fmt: skip

    monkeypatch.setattr(strangers, "play", play)
    ledger = ResultsFile(tmp_path / "results.json")
    for _ in range(2):
        strangers.measure_demo(ledger)
    assert played == list(plan.DEMO_SEEDS)
    lines = {row[0]: row[1:] for row in page.demo(ledger)}
    assert lines["the stranger called unknown"] == ["30", "36", "83.3 %"]
    assert lines["right names lost to the reject"][:2] == ["6", "366"]


def test_other_parameters_are_other_results(tmp_path: Path) -> None:
    fill(tmp_path / "colours", count=6)
    ledger = ResultsFile(tmp_path / "results.json")
    one, two = (
        measure.Measured(COLOURS, tmp_path, tmp_path / "cache", ledger, params)
        for params in (Params(), Params(microcolumns=2))
    )
    setting = one.setting(None)
    assert one.made_of(setting) != two.made_of(setting)
    assert one.made_of(setting, conventional=True) == two.made_of(setting, conventional=True)
    assert one.made_of(setting) != one.made_of(one.setting(2))


def test_the_plan_holds_the_rows_asked_for() -> None:
    rows = {(one.name, shots) for one in SETS for shots in one.shots}
    assert rows >= {(name, shots) for name in ("sign_digits", "grocery", "imagenet64") for shots in (None, 1, 5, 10)}
    assert ("sign_digits", 20) in rows
    assert [one.repeats for one in SETS] == [5, 5, 3]


def test_the_drawn_trajectory_is_the_networks() -> None:
    random = np.random.default_rng(0)
    network = CoLaNET(Params(), 40)
    for label in ("a", "b", "c"):
        network.add_class(label)
    shown = random.integers(0, 11, (30, 40)).astype(np.uint8)
    for number, counts in enumerate(shown):
        network.learn_one(counts, "abc"[number % 3])
    for counts in shown:
        potential, fired = neurons.trajectory(network, counts)
        decision = network.predict_one(counts)
        np.testing.assert_array_equal(fired.sum(axis=1), decision.spikes)
        first = np.where(fired.any(axis=1), fired.argmax(axis=1), 15)
        np.testing.assert_array_equal(first, decision.first_spike)
        assert (potential[fired] >= 1).all()


def test_pictures_from_inside_are_drawn(tmp_path: Path) -> None:
    folder = fill(tmp_path / "colours", count=12)
    cache = tmp_path / "cache"
    neurons.draw_raster(folder, cache, tmp_path / "raster.png")
    neurons.draw_typical(folder, cache, tmp_path / "typical.png", labels=("red",))
    neurons.draw_classes(folder, cache, tmp_path / "classes.png", labels=("red", "blue"))
    for name in ("raster", "typical", "classes"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
