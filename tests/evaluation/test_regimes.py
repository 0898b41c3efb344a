import pytest

from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.evaluation.regimes import PLASTIC_STABILITY_MAX, in_regime


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
