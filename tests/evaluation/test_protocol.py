import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError
from edge_app.evaluation.embedded_draws import TIMED_IMAGES, prepare, redraw
from edge_app.evaluation.protocol import Evaluation, evaluate, evaluate_noisy, measure_complexity, reliability
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import UNKNOWN, EvaluationSettings, Trial
from support.pictures import ColourEmbedder, fill, picture

HELD_OUT = SplitChoice("", None)
RATE_CODE = RateCode(48)


def make_network() -> CoLaNET:
    return CoLaNET(Params(), RATE_CODE.n_inputs)


def run(path: Path, setting: EvaluationSettings, encoder: ColourEmbedder | None = None, **options: Any) -> Evaluation:
    with Dataset(path) as dataset:
        material = prepare(dataset, encoder or ColourEmbedder(), RATE_CODE, make_network, setting, **options)
        return evaluate(material, make_network, setting, progress=options.get("progress", lambda what, items: items))


def test_learns_colours_and_says_so_in_json(tmp_path: Path) -> None:
    values = run(fill(tmp_path, count=10), EvaluationSettings(HELD_OUT)).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["n_train"] == 24
    assert values["n_test"] == 6
    assert values["classes"] == ["blue", "green", "red"]
    assert values["accuracy"] == 1.0
    assert values["unknown_rate"] == 0.0
    assert values["per_class"] == {"blue": 1.0, "green": 1.0, "red": 1.0}
    assert values["baselines"]["nearest_class_mean"] == 1.0
    assert values["baselines"]["knn3"] == 1.0
    for stage in ("preprocess", "encode", "rate_code", "decide", "learn"):
        assert 0 < values["ms"][stage]["p50"] <= values["ms"][stage]["p95"]
    assert values["skipped"] == []
    assert values["notes"] == []


def test_labels_matter(tmp_path: Path) -> None:
    """Without this a network that ignored what it was taught would pass: every picture lies in one class too many."""
    for label in ("one", "two"):
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.png").write_bytes(picture("grey", number + 100 * (label == "two")))
    assert run(tmp_path, EvaluationSettings(HELD_OUT)).accuracy < 0.95


def test_same_seed_same_figures(tmp_path: Path) -> None:
    fill(tmp_path, count=10)
    one, two = (run(tmp_path, EvaluationSettings(HELD_OUT, seed=4, shots=2)) for _ in range(2))
    assert [t.decided.tolist() for t in one.trials] == [t.decided.tolist() for t in two.trials]
    assert [t.hits.tolist() for t in one.trials] == [t.hits.tolist() for t in two.trials]


def test_first_example_of_a_class_is_never_known_before(tmp_path: Path) -> None:
    (trial,) = run(fill(tmp_path, count=10), EvaluationSettings(HELD_OUT)).trials
    assert trial.hits.sum() == 24 - 3
    assert not trial.hits[0]


def test_shots_learn_few_and_open_no_other_image(tmp_path: Path) -> None:
    fill(tmp_path / "train", count=10)
    fill(tmp_path / "test", count=5)
    encoder = ColourEmbedder()
    values = run(tmp_path, EvaluationSettings(SplitChoice("train", "test"), shots=2), encoder).to_dict()
    assert (values["n_train"], values["n_test"]) == (6, 15)
    assert encoder.asked == 21
    assert (values["shots"], values["train_split"], values["test_split"]) == (2, "train", "test")


def test_repeats_give_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    values = run(fill(tmp_path, count=10), EvaluationSettings(HELD_OUT, seed=5, shots=1, repeats=3)).to_dict()
    accuracies = [trial["accuracy"] for trial in values["trials"]]
    assert [trial["seed"] for trial in values["trials"]] == [5, 6, 7]
    assert values["accuracy"] == pytest.approx(np.mean(accuracies))
    assert values["accuracy_std"] == pytest.approx(np.std(accuracies))
    assert sum(map(sum, values["confusion"]["counts"])) == 3 * 6


def test_passes_show_every_example_again(tmp_path: Path) -> None:
    learnt: list[str] = []

    class Counting(CoLaNET):
        def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
            learnt.append(label)
            super().learn_one(counts, label)

    setting = EvaluationSettings(HELD_OUT, passes=3)
    with Dataset(fill(tmp_path, count=10)) as dataset:
        material = prepare(dataset, ColourEmbedder(), RATE_CODE, make_network, setting)
    found = evaluate(material, lambda: Counting(Params(), 48), setting)
    assert len(learnt) == 3 * 24
    assert len(found.trials[0].hits) == 24


def test_corrupt_image_is_replaced_by_the_next_under_shots(tmp_path: Path) -> None:
    fill(tmp_path / "train", count=10)
    fill(tmp_path / "test", count=5)
    for number in range(7):
        (tmp_path / "train" / "red" / f"{number}.png").write_bytes(b"damaged")
    (tmp_path / "test" / "blue" / "0.png").write_bytes(b"damaged")
    found = run(tmp_path, EvaluationSettings(SplitChoice("train", "test"), shots=3))
    assert found.trials[0].n_train == 9
    assert len(found.trials[0].truth) == 14
    assert "test/blue/0.png" in [skipped.name for skipped in found.skipped]
    assert not any("fewer" in note for note in found.notes)


def test_peculiar_classes_are_noted(tmp_path: Path) -> None:
    fill(tmp_path / "train", ["red", "green"], count=4)
    fill(tmp_path / "train", ["grey"], count=1)
    fill(tmp_path / "test", ["red", "blue"], count=3)
    (tmp_path / "test" / "void").mkdir()
    (tmp_path / "test" / "red" / "notes.txt").write_text("left out")
    values = run(tmp_path, EvaluationSettings(SplitChoice("train", "test"), shots=2)).to_dict()
    assert values["per_class"] == {"blue": 0.0, "green": None, "grey": None, "red": 1.0}
    assert values["notes"] == [
        "class folders without an image: void",
        "classes tested but never learnt (always wrong): blue",
        "classes learnt but not tested: green, grey",
        "classes with fewer than 2 images to learn: grey (1)",
        "1 file left out (not a picture): test/red/notes.txt",
    ]


def test_class_with_one_image_is_learnt_and_not_tested(tmp_path: Path) -> None:
    fill(tmp_path, ["red"], count=5)
    fill(tmp_path, ["green"], count=1)
    values = run(tmp_path, EvaluationSettings(HELD_OUT)).to_dict()
    assert values["n_train"] == 5
    assert values["per_class"] == {"green": None, "red": 1.0}


def test_nothing_left_to_test_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image left to test"):
        run(fill(tmp_path / "single", count=1), EvaluationSettings(HELD_OUT))
    (tmp_path / "bad" / "red").mkdir(parents=True)
    (tmp_path / "bad" / "red" / "1.png").write_bytes(b"damaged")
    (tmp_path / "bad" / "blue").mkdir()
    (tmp_path / "bad" / "blue" / "1.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"no image left to learn .*2 left out.*; left out first: "):
        run(tmp_path / "bad", EvaluationSettings(HELD_OUT))


@pytest.mark.parametrize("name", ["shots", "repeats", "passes", "limit"])
def test_setting_refuses_counts_below_one(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = 0"):
        EvaluationSettings(HELD_OUT, **{name: 0})


def test_setting_names_an_unknown_baseline_and_those_there_are() -> None:
    with pytest.raises(InputError, match=r"baseline svm: .*nearest_class_mean, knn1"):
        EvaluationSettings(HELD_OUT, baselines=("svm",))


def test_only_the_baselines_that_were_asked_for(tmp_path: Path) -> None:
    found = run(fill(tmp_path), EvaluationSettings(HELD_OUT, baselines=("knn3",)))
    assert list(found.to_dict()["baselines"]) == ["knn3"]
    assert run(tmp_path, EvaluationSettings(HELD_OUT, baselines=())).to_dict()["baselines"] == {}


def test_cached_run_gives_the_same_and_still_times_the_encoder(tmp_path: Path) -> None:
    fill(tmp_path / "set", count=40)
    first = run(tmp_path / "set", EvaluationSettings(HELD_OUT), cache=str(tmp_path / "cache"))
    encoder = ColourEmbedder()
    second = run(tmp_path / "set", EvaluationSettings(HELD_OUT), encoder, cache=str(tmp_path / "cache"))
    assert encoder.asked == TIMED_IMAGES
    assert second.to_dict()["ms"]["encode"]["p50"] == 0.5
    assert first.trials[0].decided.tolist() == second.trials[0].decided.tolist()


def test_progress_is_told_what_it_walks_through(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def progress(what: str, items: Sequence[Any]) -> Iterable[Any]:
        seen.append((what, len(items)))
        return items

    run(fill(tmp_path, count=10), EvaluationSettings(HELD_OUT, passes=2), progress=progress)
    assert seen == [("encoding", 30), ("pass 1", 24), ("pass 2", 24), ("testing", 6)]


def trial(truth: list[int], decided: list[int]) -> Trial:
    sure = np.full(len(truth), 0.5)
    return Trial(0, 4, np.array(truth), np.array(decided), np.array([False, True, True, True]), sure, sure > 1, {})


def test_unknown_counts_as_wrong_and_has_a_column() -> None:
    found = Evaluation(EvaluationSettings(HELD_OUT), ("a", "b", "c"), [trial([0, 0, 0, 1], [0, UNKNOWN, 1, 1])], {})
    values = found.to_dict()
    assert values["accuracy"] == 0.5
    assert values["unknown_rate"] == 0.25
    assert values["per_class"] == {"a": pytest.approx(1 / 3), "b": 1.0, "c": None}
    assert values["confusion"] == {
        "columns": ["a", "b", "c", None],
        "counts": [[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]],
    }
    assert values["confidence"]["expected_calibration_error"] == 0.0
    assert values["test_then_train"]["accuracy"] == 0.75
    assert values["test_then_train"]["curve"] == [0.0, 0.5, 0.66667, 0.75]


def test_wrong_labels_cost_accuracy_and_are_taught_to_the_baselines_too(tmp_path: Path) -> None:
    setting = EvaluationSettings(HELD_OUT, baselines=("knn1",))
    with Dataset(fill(tmp_path, count=40)) as dataset:
        material = prepare(dataset, ColourEmbedder(), RATE_CODE, make_network, setting)
    values = evaluate_noisy(material, make_network, setting, (0.0, 1.0))
    right, wrong = values["noisy"]
    assert values["clean"]["accuracy"] == right["accuracy"] == 1.0
    assert right["baselines"] == {"knn1": 1.0}
    assert wrong["accuracy"] == 0.0
    assert wrong["baselines"] == {"knn1": 0.0}


def test_complexity_is_counted_on_the_material(tmp_path: Path) -> None:
    setting = EvaluationSettings(HELD_OUT)
    with Dataset(fill(tmp_path, count=10)) as dataset:
        material = prepare(dataset, ColourEmbedder(), RATE_CODE, make_network, setting)
    values = measure_complexity(material, make_network)
    assert values["colanet"]["decision"]["dense"] == 10 * (48 * 3 + 3)
    assert values["linear_head"]["footprint_bytes"]["deciding"] == 4 * 49 * 3
    assert values["knn3"]["footprint_bytes"]["learning"] == 24 * 48


def test_redrawn_material_is_what_would_have_been_prepared(tmp_path: Path) -> None:
    few = EvaluationSettings(HELD_OUT, seed=3, shots=2, repeats=2)
    with Dataset(fill(tmp_path, count=10)) as dataset:
        whole = prepare(dataset, ColourEmbedder(), RATE_CODE, make_network, EvaluationSettings(HELD_OUT))
        anew = prepare(dataset, ColourEmbedder(), RATE_CODE, make_network, few)
        again = redraw(whole, dataset, few)
    assert again.draws == anew.draws
    decided = [[trial.decided.tolist() for trial in evaluate(one, make_network, few).trials] for one in (again, anew)]
    assert decided[0] == decided[1]


def test_same_confidence_from_the_same_presses(tmp_path: Path) -> None:
    fill(tmp_path, count=10)
    one, two = (run(tmp_path, EvaluationSettings(HELD_OUT)).trials[0] for _ in range(2))
    assert one.confidence.tolist() == two.confidence.tolist()
    assert ((one.confidence > 0.5) & (one.confidence <= 1)).all()


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
