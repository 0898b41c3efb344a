"""Parameters are checked when they are made, and say what is wrong."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.colanet.params import PRESETS, Decorrelated, Params, Published
from edge_app.colanet.published import PublishedRule
from edge_app.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("regularisation", 63.9, "colanet.regularisation = 63.9, expected a number from 64 to 16000"),
        ("regularisation", 16001, "from 64 to 16000"),
        ("regularisation", float("nan"), "colanet.regularisation = nan, expected a number"),
        ("regularisation", "1536", "colanet.regularisation = '1536', expected a number"),
        ("regularisation", True, "colanet.regularisation = True, expected a number"),
        ("resting_classes", 0, "from 1 to 1000"),
        ("resting_classes", 2.5, "colanet.resting_classes = 2.5, expected a whole number"),
        ("threshold", 0.01, "colanet.threshold = 0.01, expected a"),
        ("threshold", 1.01, "colanet.threshold = 1.01, expected a"),
        ("stability_max", 0, "from 1 to 65535"),
        ("stability_max", 65536, "from 1 to 65535"),
    ],
)
def test_decorrelated_values_out_of_range(name: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Decorrelated(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 65537.0),
        ("excess", -0.1),
        ("excess", 4.1),
        ("tau", 0.9),
        ("tau", 65537.0),
        ("loss", 0.1),
        ("loss", -16.1),
        ("reward", -0.1),
        ("reward", 16.1),
        ("stability_rate", 16.1),
        ("w_min", 0.0),
        ("w_min", -8.0),
        ("w_max", 0.0),
        ("w_max", 8.0),
        ("n_silent", -1),
        ("n_silent", 65537),
        ("sigma", -0.1),
        ("sigma", 1025.0),
        ("isi_max", 9),
        ("isi_max", 1001),
        ("t_dopamine", 9),
        ("t_dopamine", 15),
        ("tau", float("inf")),
    ],
)
def test_published_values_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"colanet.{name} = {value}"):
        Published(**{name: value})


def test_a_resource_at_rest_that_does_not_fit_is_refused() -> None:
    """W0 = -w_min (w_max - w_min) / w_max grows without end as w_max goes to 0."""
    with pytest.raises(ParameterError, match=r"w_max = 0.001 is too small beside w_min = -7.9.*raise w_max"):
        Published(w_min=-7.9, w_max=0.001)
    assert PublishedRule.of(Published(w_min=-7.9, w_max=0.004)).resource_at_rest < 2**30


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"microcolumns": 0}, "colanet.microcolumns = 0, expected a whole number from 1 to 256"),
        ({"microcolumns": 257}, "colanet.microcolumns = 257"),
        ({"members": 0}, "colanet.members = 0"),
        ({"members": 2}, "colanet.members = 2: the decorrelated rule has no random streams"),
        ({"seed": -1}, "colanet.seed = -1, expected a"),
        ({"seed": 2**32}, "colanet.seed = 4294967296"),
        ({"plasticity": None}, "colanet.plasticity = None, expected Decorrelated or Published"),
    ],
)
def test_common_values_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Params(**values)


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Params().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    preset = Params.preset(name)
    assert Params.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset


@given(st.floats(64, 16000), st.integers(1, 1000), st.integers(0, 2**32 - 1))
def test_any_parameters_survive_json(regularisation: float, resting: int, seed: int) -> None:
    params = Params(seed=seed, plasticity=Decorrelated(regularisation, resting))
    again = Params.from_dict(json.loads(json.dumps(params.to_dict())))
    assert again == params
    assert again.digest == params.digest


def test_digests_tell_parameters_apart_and_nothing_else() -> None:
    digests = {preset.digest for preset in PRESETS.values()}
    assert len(digests) == len(PRESETS)
    assert (
        Params(plasticity=Decorrelated(regularisation=1000)).digest
        == Params.from_dict({"regularisation": 1000.0}).digest
    )
    assert Params(seed=1).digest != Params().digest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "hebb"}, "colanet.rule = 'hebb', expected one of decorrelated, published"),
        ({"tau": 5}, "colanet.tau is not a parameter of the decorrelated rule, expected one of microcolumns"),
        (
            {"rule": "published", "regularisation": 100},
            "regularisation is not a parameter of the published rule",
        ),
    ],
)
def test_mappings_that_are_none(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Params.from_dict(values)
    assert Params.from_dict({}) == Params()


def test_a_preset_that_is_not_there() -> None:
    with pytest.raises(ParameterError, match="'best' are not known, expected one of default, paper, paper-b, mnist"):
        Params.preset("best")
