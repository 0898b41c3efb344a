"""Candidates of the search: parameters of either plasticity rule with a rate code, and their ranges."""

import dataclasses
from typing import Any, NamedTuple, cast

import optuna

from edge_app.colanet.params import PRESETS, Decorrelated, Params, Published
from edge_app.encoder.ratecode import EXPONENTS, RateCode
from edge_app.errors import InputError

RULES = ("decorrelated", "published")
MEMBERS = 1
"""E while the published rule is searched: the papers' 15 would take fifteen times as long."""


class Candidate(NamedTuple):
    """Parameters of a network and its rate code."""

    params: Params
    exponent: float = RateCode.exponent
    saturation: float = RateCode.saturation

    def rate_code(self, n_inputs: int, zero_point: int) -> RateCode:
        """Return the candidate's rate code for an encoder's embeddings."""
        return RateCode(n_inputs, self.exponent, self.saturation, zero_point)

    def to_dict(self) -> dict[str, Any]:
        """Return all values as JSON values."""
        return {
            "params": self.params.to_dict(),
            "rate_code": {"exponent": self.exponent, "saturation": self.saturation},
        }


def suggest(trial: optuna.trial.BaseTrial, rule: str) -> Candidate:
    """Draw a candidate. Raises InputError for an unknown rule."""
    if rule not in RULES:
        raise InputError(f"rule {rule!r} is not known, expected one of {', '.join(RULES)}")
    params = _decorrelated(trial) if rule == "decorrelated" else _published(trial)
    exponent = trial.suggest_categorical("exponent", EXPONENTS)
    return Candidate(params, exponent, trial.suggest_float("saturation", 1.5, 6.0, step=0.25))


def starts(rule: str) -> list[dict[str, Any]]:
    """Return the first candidates: the default, or the published sets and that of the float prototype."""
    rate_code = {"exponent": RateCode.exponent, "saturation": RateCode.saturation}
    if rule == "decorrelated":
        default = PRESETS["default"]
        rest = default.to_dict()
        searched = dataclasses.asdict(default.plasticity)
        return [{name: rest[name] for name in ("microcolumns", *searched)} | rate_code]
    known = [_published_values(PRESETS[name]) for name in ("paper", "paper-b", "mnist")]
    return [values | rate_code for values in (*known, PROTOTYPE)] + [PROTOTYPE | {"exponent": 1.0, "saturation": 3.0}]


def _decorrelated(trial: optuna.trial.BaseTrial) -> Params:
    rule = Decorrelated(
        regularisation=trial.suggest_float("regularisation", 64, 16000, log=True),
        resting_classes=trial.suggest_int("resting_classes", 1, 64, log=True),
        threshold=trial.suggest_float("threshold", 1 / 64, 1 / 2, log=True),
        stability_max=trial.suggest_int("stability_max", 32, 65535, log=True),
        noise=trial.suggest_float("noise", 0, 1),
        novelty=trial.suggest_float("novelty", 2**-8, 1, log=True),
        correction=trial.suggest_float("correction", 0.0125, 0.25, log=True),
    )
    return Params(microcolumns=trial.suggest_int("microcolumns", 1, 4), plasticity=rule)


def _published(trial: optuna.trial.BaseTrial) -> Params:
    reward = trial.suggest_float("reward", 0.005, 1.0, log=True)
    w_max = trial.suggest_float("w_max", 0.03, 2.5, log=True)
    rule = Published(
        excess=trial.suggest_float("excess", 0, 0.25),
        tau=trial.suggest_float("tau", 2, 32, log=True),
        # as a ratio, so that no trial combines a large loss with a small reward; w_min and w_max likewise
        loss=-reward * trial.suggest_float("loss_to_reward", 0.2, 1.1),
        reward=reward,
        stability_rate=trial.suggest_float("stability_rate", 0, 0.2),
        w_min=-w_max * trial.suggest_float("w_min_to_w_max", 0.4, 3.0),
        w_max=w_max,
        n_silent=trial.suggest_int("n_silent", 0, 32),
        sigma=trial.suggest_float("sigma", 0, 2.5),
    )
    return Params(microcolumns=trial.suggest_int("microcolumns", 1, 20), members=MEMBERS, plasticity=rule)


def _published_values(params: Params) -> dict[str, Any]:
    rule = cast(Published, params.plasticity)
    return {
        "microcolumns": params.microcolumns,
        "excess": rule.excess,
        "tau": rule.tau,
        "reward": rule.reward,
        "loss_to_reward": -rule.loss / rule.reward,
        "stability_rate": rule.stability_rate,
        "w_max": rule.w_max,
        "w_min_to_w_max": -rule.w_min / rule.w_max,
        "n_silent": rule.n_silent,
        "sigma": rule.sigma,
    }


PROTOTYPE = {
    "microcolumns": 8,
    "excess": 0.0,
    "tau": 8.0,
    "reward": 0.026,
    "loss_to_reward": 0.0204 / 0.026,
    "stability_rate": 0.0,
    "w_max": 0.162,
    "w_min_to_w_max": 0.141 / 0.162,
    "n_silent": 0,
    "sigma": 1.25,
}
"""The best set of a float prototype of the published rule, whose rate code was linear, of normalised embeddings."""
