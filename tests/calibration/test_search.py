import csv
import json
from pathlib import Path

import pytest

from support.evaluation_material import coloured, separable

pytest.importorskip("optuna", reason="the search needs Optuna: pip install 'edge-app[calibration]'")
pytest.importorskip("sklearn", reason="the baselines need scikit-learn: pip install 'edge-app[calibration]'")

import optuna

from calibration import search
from calibration.candidates import MEMBERS, PROTOTYPE, Candidate, starts, suggest
from calibration.search_results import write_results
from edge_app.colanet.params import Params
from edge_app.errors import InputError


def bench(bar: float = 0.5) -> search.SearchBench:
    material = separable()
    return search.SearchBench((material,), {("made", seed): dict.fromkeys(("1", "5", "all"), bar) for seed in (0, 1)})


def test_the_first_candidate_is_the_default() -> None:
    (values,) = starts("decorrelated")
    assert suggest(optuna.trial.FixedTrial(values), "decorrelated") == Candidate(Params())


def test_the_published_sets_are_tried_first() -> None:
    found = [suggest(optuna.trial.FixedTrial(values), "published") for values in starts("published")]
    for candidate, name in zip(found, ("paper", "paper-b", "mnist"), strict=False):
        expected = Params.preset(name)
        assert candidate.params.members == MEMBERS
        assert candidate.params.microcolumns == expected.microcolumns
        assert vars(candidate.params.plasticity) == pytest.approx(vars(expected.plasticity))
    assert starts("published")[3]["tau"] == PROTOTYPE["tau"] == 8.0


@pytest.mark.parametrize("rule", ["decorrelated", "published"])
def test_all_that_can_be_drawn_is_valid(rule: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(200):
        candidate = suggest(study.ask(), rule)
        assert candidate.rate_code(1280, 0).n_inputs == 1280
        assert Params.from_dict(candidate.to_dict()["params"]) == candidate.params


def test_a_rule_that_is_none() -> None:
    with pytest.raises(InputError, match="rule 'hebb' is not known, expected one of decorrelated, published"):
        suggest(optuna.trial.FixedTrial({}), "hebb")


def test_the_objective_is_the_mean_of_relative_accuracies() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    study.enqueue_trial(starts("decorrelated")[0])
    study.optimize(lambda trial: search.objective(trial, bench(), "decorrelated", [0, 1]), n_trials=1)
    (trial,) = study.trials
    scored = search.score(bench(), Candidate(Params()), 0)
    assert trial.value == pytest.approx(sum(scored.values()) / 3)
    assert scored["made, all"] == 2.0  # all right, over a bar of one half
    assert list(trial.user_attrs["rows"]) == ["made, 1", "made, 5", "made, all"]
    assert list(trial.intermediate_values) == [0, 1]


def test_a_hopeless_trial_is_stopped_early() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=100))
    study.optimize(lambda trial: search.objective(trial, bench(), "decorrelated", [0, 1]), n_trials=1)
    assert study.trials[0].state == optuna.trial.TrialState.PRUNED
    assert list(study.trials[0].intermediate_values) == [0]


def test_a_stopped_trial_has_no_objective_in_the_history(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    study.optimize(lambda trial: search.objective(trial, bench(), "decorrelated", [0, 1]), n_trials=1)
    study.pruner = optuna.pruners.ThresholdPruner(lower=100)
    study.optimize(lambda trial: search.objective(trial, bench(), "decorrelated", [0, 1]), n_trials=1)
    args = search.parse(["--out", str(tmp_path)])
    assert write_results(study, Candidate(Params()), None, args)["stopped_early"] == 1
    with (tmp_path / "search_decorrelated.csv").open() as file:
        complete, stopped = csv.DictReader(file)
    assert (complete["state"], stopped["state"]) == ("complete", "pruned")
    assert float(complete["objective"]) == pytest.approx(study.best_value, rel=1e-4)
    assert stopped["objective"] == ""
    assert float(stopped["last_mean"]) > 0


def test_no_trial_is_stopped_before_it_was_tried_on_all_data_sets(tmp_path: Path) -> None:
    study = search.open_study(str(tmp_path / "trials.journal"), "one", "decorrelated", 0, n_sets=2)

    def one(trial: optuna.Trial) -> float:
        value = 1.0 / (1 + trial.number)  # each one is worse than all before it
        for step in range(4):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(one, n_trials=8)
    assert [len(trial.intermediate_values) for trial in study.trials] == [4] * 6 + [2] * 2


def test_a_comparison_is_paired() -> None:
    found = search.compare(bench(), Candidate(Params()), Candidate(Params()), [0, 1])
    assert found["difference"] == found["standard_error"] == 0
    worse = search.compare(bench(), Candidate(Params(), saturation=16.0), Candidate(Params()), [0, 1])
    assert worse["difference"] == pytest.approx(worse["best"] - worse["other"])
    assert worse["difference"] < 0


@pytest.mark.parametrize("where", ["{}/new/trials.journal", "sqlite:///{}/trials.sqlite"])
def test_a_study_is_found_again_in_its_storage(tmp_path: Path, where: str) -> None:
    storage = where.format(tmp_path)
    study = search.open_study(storage, "one", "decorrelated", 0, 1)
    study.optimize(lambda trial: suggest(trial, "decorrelated").saturation, n_trials=2)
    again = search.open_study(storage, "one", "decorrelated", 0, 1)
    assert [trial.value for trial in again.trials] == [trial.value for trial in study.trials]
    assert again.trials[0].params["regularisation"] == Params().to_dict()["regularisation"]


def test_storage_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"file/trials\.journal"):
        search.open_storage(str(tmp_path / "file" / "trials.journal"))
    with pytest.raises(InputError, match=r"storage sqlite:///.*expected a file or a database URL"):
        search.open_storage(f"sqlite:///{tmp_path}/no/such/folder/x.sqlite")


def command(folder: Path, trials: int, *more: str) -> list[str]:
    places = ["--data", str(folder), "--cache", str(folder / "cache"), "--out", str(folder / "out")]
    draws = ["--draws", "0", "--compare", "1"]
    return [*places, *draws, "--sets", "sign_digits", "--trials", str(trials), "--jobs", "1", *more]


def test_one_command_searches_resumes_and_writes_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coloured(tmp_path, count=10)
    assert search.main(command(tmp_path, 2)) == 0
    first = json.loads(capsys.readouterr().out)
    assert first == json.loads((tmp_path / "out" / "search_decorrelated.json").read_text())
    assert first["trials"] == 2
    assert first["rows"].keys() == {"sign_digits, 1", "sign_digits, 5", "sign_digits, 10"}
    assert first["compared_with_default"]["draws"] == [1]
    assert search.main(command(tmp_path, 5)) == 0
    with (tmp_path / "out" / "search_decorrelated.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["trial"] for row in history] == list("01234")
    assert float(history[0]["regularisation"]) == 1536
    assert (tmp_path / "out" / "search_decorrelated.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_several_processes_share_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coloured(tmp_path, count=10)
    assert search.main(command(tmp_path, 8, "--jobs", "2")) == 0
    assert json.loads(capsys.readouterr().out)["trials"] >= 8
