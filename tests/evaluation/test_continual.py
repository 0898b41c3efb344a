import json

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.errors import InputError
from edge_app.evaluation.continual import (
    PLASTIC_STABILITY_MAX,
    ContinualPlan,
    Rehearsal,
    average,
    backward_transfer,
    forgetting,
    in_regime,
    run_continual,
    split_tasks,
)
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import EvaluationSettings
from support.streams import make_network, material

NAN = float("nan")
MATRIX = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.75, 0.4, 1.0]])
SETTING = EvaluationSettings(SplitChoice("", None), baselines=())


def test_forgetting_and_backward_transfer_by_hand() -> None:
    assert forgetting(MATRIX) == pytest.approx(((0.9 - 0.75) + (0.8 - 0.4)) / 2)
    assert backward_transfer(MATRIX) == pytest.approx(((0.75 - 0.9) + (0.4 - 0.8)) / 2)
    better_later = np.array([[0.5, NAN], [0.7, 1.0]])
    assert forgetting(better_later) == pytest.approx(-0.2)
    assert backward_transfer(better_later) == pytest.approx(0.2)
    assert forgetting(np.ones((1, 1))) == backward_transfer(np.ones((1, 1))) == 0.0


def test_tasks_hold_every_class_once_and_follow_the_seed() -> None:
    names = [f"c{i}" for i in range(7)]
    tasks = split_tasks(range(7), names, 0, 3)
    assert [len(task) for task in tasks] == [3, 3, 1]
    assert sorted(label for task in tasks for label in task) == list(range(7))
    assert tasks == split_tasks(range(7), names, 0, 3)
    assert tasks != split_tasks(range(7), names, 1, 3)


def test_easy_classes_are_learnt_one_after_another() -> None:
    values = run_continual(material(), make_network, SETTING, ContinualPlan(rehearse=8))
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["tasks"] == 4
    assert values["steps"] == [1.0] * 4
    assert values["final"] == values["random_order"] == values["rehearsed"]["final"] == 1.0
    assert values["forgetting"] == values["joint"]["forgetting"] == values["backward_transfer"] == 0.0


class Forgetful(CoLaNET):
    """Knows nothing but the class taught last."""

    def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
        for other in self.labels:
            if other != label:
                self.remove_class(other)
                self.add_class(other)
        super().learn_one(counts, label)


def test_forgetting_is_seen_and_rehearsal_cannot_hide_it() -> None:
    values = run_continual(material(), lambda: Forgetful(Params(), 48), SETTING, ContinualPlan())
    assert values["final"] == pytest.approx(0.25)
    assert values["forgetting"] == 1.0
    assert values["backward_transfer"] == -1.0
    assert values["rehearsed"] is None


def test_classes_arrive_one_after_another_and_rehearsal_shows_bounded_examples_again() -> None:
    learnt: list[str] = []

    class Recording(CoLaNET):
        def learn_one(self, counts: NDArray[np.uint8], label: str) -> None:
            learnt.append(label)
            super().learn_one(counts, label)

    run_continual(material(2, learnt=3), lambda: Recording(Params(), 48), SETTING, ContinualPlan(rehearse=3))
    first, second = learnt[0], learnt[3]
    assert learnt[:6] == [first] * 3 + [second] * 3
    n_joint_and_mixed = 6 + 3 + 6
    with_rehearsal = learnt[6 + n_joint_and_mixed :]
    assert with_rehearsal[:6] == [first] * 6
    assert with_rehearsal[6:9] == [second] * 3
    assert sorted(with_rehearsal[9:]).count(first) in (1, 2)
    assert len(with_rehearsal) == 12


def test_within_a_task_other_tasks_do_not_interfere() -> None:
    values = run_continual(
        material(4, spread=90.0, tested=30), make_network, SETTING, ContinualPlan(classes_per_task=2)
    )
    assert values["forgetting"] > values["forgetting_within_task"]


def test_one_pass_baselines_see_the_same_stream() -> None:
    setting = EvaluationSettings(SplitChoice("", None), baselines=("nearest_class_mean", "knn3"))
    values = run_continual(material(), make_network, setting, ContinualPlan())
    assert values["baselines"] == {"nearest_class_mean": {"final": 1.0, "random_order": 1.0}}


def test_average_of_nested_values() -> None:
    one = {"a": 1.0, "b": {"c": [1.0, 2.0]}, "d": None}
    two = {"a": 2.0, "b": {"c": [3.0, 4.0]}, "d": None}
    assert average([one, two]) == {"a": 1.5, "b": {"c": [2.0, 3.0]}, "d": None}


@pytest.mark.parametrize(("plan", "message"), [((0, 0), "classes-per-task 0"), ((1, -1), "rehearse -1")])
def test_plan_refuses_what_makes_no_sense(plan: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ContinualPlan(*plan)


def test_stable_leaves_the_parameters_as_they_are() -> None:
    for preset in ("default", "paper"):
        assert in_regime(Params.preset(preset), "stable") == Params.preset(preset)


def test_plastic_keeps_plasticity_up() -> None:
    default = in_regime(Params(), "plastic").plasticity
    assert isinstance(default, Decorrelated)
    assert default.stability_max == PLASTIC_STABILITY_MAX < Decorrelated().stability_max
    paper = in_regime(Params.preset("paper"), "plastic").plasticity
    assert isinstance(paper, Published)
    assert paper.stability_rate == 0
    assert paper.reward == Published().reward


@pytest.mark.parametrize("lower", [4, 16])
def test_plastic_is_never_more_stable_than_what_was_set(lower: int) -> None:
    rule = in_regime(Params(plasticity=Decorrelated(stability_max=lower)), "plastic").plasticity
    assert isinstance(rule, Decorrelated)
    assert rule.stability_max == lower


def test_keeps_equal_parts_of_every_class_within_the_bound() -> None:
    rows = material(3, learnt=6, tested=0).rows
    memory = Rehearsal(7, seed=0)
    for label in range(3):
        memory.keep(range(6 * label, 6 * label + 6), rows)
        kept = memory.replay(rows, label)
        assert len(kept) == min(7, 6 * (label + 1))
        assert len(set(kept.tolist())) == len(kept)
    counts = [int((rows.labels[memory.replay(rows, 3)] == label).sum()) for label in range(3)]
    assert counts == [3, 2, 2]


def test_what_is_kept_was_kept_before_and_every_replay_has_its_order() -> None:
    rows = material(2, learnt=20, tested=0).rows
    memory = Rehearsal(10, seed=1)
    memory.keep(range(20), rows)
    before = set(memory.replay(rows, 0).tolist())
    memory.keep(range(20, 40), rows)
    after = memory.replay(rows, 1)
    assert {row for row in after.tolist() if row < 20} < before
    assert after.tolist() != memory.replay(rows, 2).tolist()
    assert sorted(after.tolist()) == sorted(memory.replay(rows, 2).tolist())


def test_more_classes_than_places() -> None:
    rows = material(4, learnt=2, tested=0).rows
    memory = Rehearsal(2, seed=0)
    memory.keep(range(8), rows)
    assert len(memory.replay(rows, 0)) == 2
