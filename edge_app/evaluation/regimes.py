"""The two regimes of continual learning with columns (arXiv 2506.17169): stable, and plastic.

Stable: a neuron's plasticity falls the more it has learnt, so that what is old stays. Plastic: it does not fall (or no
further), so that what is new counts more. As parameters of the two rules:

    rule          stable                        plastic
    Decorrelated  stability_max as set (4096)   stability_max = 16: 1/(1+n) stops falling after 16 examples
    Published     stability_rate as published   stability_rate = 0: 2^-s stays 1
"""

import dataclasses

from edge_app.colanet.params import Decorrelated, Params

PLASTIC_STABILITY_MAX = 16
REGIMES = ("stable", "plastic")


def in_regime(params: Params, regime: str) -> Params:
    """Return the parameters in a regime, one of REGIMES; "stable" leaves them as they are."""
    if regime == "stable":
        return params
    rule = params.plasticity
    if isinstance(rule, Decorrelated):
        return dataclasses.replace(
            params,
            plasticity=dataclasses.replace(rule, stability_max=min(rule.stability_max, PLASTIC_STABILITY_MAX)),
        )
    return dataclasses.replace(params, plasticity=dataclasses.replace(rule, stability_rate=0.0))
