import pytest

from edge_app.errors import InputError
from edge_app.evaluation.newcomer import run_newcomer
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import EvaluationSettings
from support.streams import make_network, material

SETTING = EvaluationSettings(SplitChoice("", None), baselines=("streaming_lda", "knn3"))


def test_a_newcomer_of_easy_classes_is_known_and_harms_none() -> None:
    found = run_newcomer(material(), make_network, SETTING, shots=3, choices=2)
    assert found == {
        "newcomer": 1.0,
        "others_before": 1.0,
        "others_after": 1.0,
        "few_shot_newcomer": 1.0,
        "few_shot": 1.0,
        "baselines": {"streaming_lda": 1.0},
        "shots": 3,
        "choices": 2,
    }


def test_the_newcomer_is_taught_last_and_with_few_shots_only() -> None:
    learnt: list[str] = []
    network = make_network()
    learn = network.learn_one

    def recording() -> object:
        nonlocal network, learn
        learnt.append("new")
        network = make_network()
        learn = network.learn_one
        network.learn_one = lambda counts, label: (learnt.append(label), learn(counts, label))  # type: ignore[method-assign]
        return network

    run_newcomer(material(3, learnt=6), recording, SETTING, shots=2, choices=1)  # type: ignore[arg-type]
    reference, taught = " ".join(learnt).split("new")[1:]
    assert len(reference.split()) == 6
    order = taught.split()
    assert len(order) == 2 * 6 + 2
    assert order[-1] == order[-2]
    assert order[-1] not in order[:-2]


def test_it_takes_two_classes() -> None:
    with pytest.raises(InputError, match="fewer than two classes"):
        run_newcomer(material(1), make_network, SETTING)
    with pytest.raises(InputError, match="at least 1"):
        run_newcomer(material(), make_network, SETTING, choices=0)
