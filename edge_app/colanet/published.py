"""The rule of the CoLaNET papers: anti-Hebbian loss, dopamine reward, stability, renormalisation, gate.

A presentation is one tight spike sequence of each neuron (isi_max >= T), so plasticity acts once in it. In each column
and member, with the winner's resource W and stability s, in this order:

    it fired              W_i += loss * 2^-s for contributing inputs; s += r * loss
    and it is the target  W_i += reward * 2^-s; s += r * reward * max(2 - |t - isi_max| / isi_max, -1), t from the
                          first spike to the dopamine
    target, none fired    the gate forces the neuron with the highest potential: W_i += reward * 2^-s for all inputs
                          that spiked; s -= r * reward

s >= 0. Contributing: at least one spike from 3 tau before the first to the last spike of the sequence. Then
renormalisation, and weight and threshold from the resource (`kernels`).
"""

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.columns import Columns
from edge_app.colanet.fixedpoint import POWER_TABLE, PUBLISHED_WEIGHT_BITS, RESOURCE_BITS, to_fixed
from edge_app.colanet.kernels import ALL_STEPS, Dynamics
from edge_app.colanet.params import Params, Published


class PublishedRule(NamedTuple):
    """`Published` as the kernels take it; resources, stabilities and w_* in Q15.16, excess Q0.16, threshold Q3.12."""

    loss: int
    reward: int
    stability_loss: int
    stability_reward: NDArray[np.int64]
    """(ALL_STEPS + 1,): change of stability by the step of the first spike."""
    stability_forced: int
    window: int
    """3 tau, steps."""
    n_silent: int
    w_min: int
    w_range: int
    base_threshold: int
    excess: int

    @classmethod
    def of(cls, rule: Published) -> "PublishedRule":
        """Round the parameters to their formats."""
        reward = rule.stability_rate * rule.reward
        gaps = [rule.t_dopamine - first for first in range(ALL_STEPS + 1)]
        factors = [max(2 - abs(gap - rule.isi_max) / rule.isi_max, -1) for gap in gaps]
        return cls(
            loss=to_fixed(rule.loss, RESOURCE_BITS),
            reward=to_fixed(rule.reward, RESOURCE_BITS),
            stability_loss=to_fixed(rule.stability_rate * rule.loss, RESOURCE_BITS),
            stability_reward=np.array([to_fixed(reward * factor, RESOURCE_BITS) for factor in factors], np.int64),
            stability_forced=to_fixed(reward, RESOURCE_BITS),
            # after three time constants a spike's share of the potential is 5 %
            window=int(3 * rule.tau),
            n_silent=rule.n_silent,
            w_min=to_fixed(rule.w_min, RESOURCE_BITS),
            w_range=to_fixed(rule.w_max, RESOURCE_BITS) - to_fixed(rule.w_min, RESOURCE_BITS),
            base_threshold=to_fixed(rule.threshold, PUBLISHED_WEIGHT_BITS),
            excess=to_fixed(rule.excess, 16),
        )

    @property
    def resource_at_rest(self) -> int:
        """W0 = -w_min (w_max - w_min) / w_max, at which a weight is 0."""
        return -self.w_min * self.w_range // (self.w_range + self.w_min)


class PublishedColumns(Columns):
    """Columns under the published rule.

    resource (neurons, n_inputs) int32, stability (neurons,) int32 and outstanding (neurons,) int64: Q15.16.
    """

    neuron_arrays: ClassVar = {
        "resource": (np.dtype(np.int32), True),
        "stability": (np.dtype(np.int32), False),
        "outstanding": (np.dtype(np.int64), False),
    }
    ranges: ClassVar = {
        "resource": (-(2**31 - 1), 2**31 - 1),
        "stability": (0, 2**31 - 1),
        "outstanding": (-(2**44), 2**44),
    }
    resource: NDArray[np.int32]
    stability: NDArray[np.int32]
    outstanding: NDArray[np.int64]
    weight_limit: ClassVar = 8 << PUBLISHED_WEIGHT_BITS
    ranks: ClassVar = (kernels.SPIKES, kernels.EARLIEST, kernels.EXCESS)

    def __init__(self, params: Params, n_inputs: int, rule: Published, threads: int) -> None:
        self.check_size(n_inputs, self.weight_limit)
        self._rule = PublishedRule.of(rule)
        self.dynamics = Dynamics(
            leak=to_fixed(1 / rule.tau, 16),
            # the papers' potential is not negative
            floor=0,
            soft_reset=0,
            noise_bound=to_fixed(rule.sigma, PUBLISHED_WEIGHT_BITS),
            seed=params.seed,
        )
        super().__init__(params, n_inputs, threads)

    def learn(self, counts: NDArray[np.uint8], column: int, presentation: int) -> None:
        activity = self.present(counts, presentation)
        kernels.learn_published(
            counts,
            column,
            activity,
            self.resource,
            self.stability,
            self.outstanding,
            self.weights,
            self.threshold,
            self._rule,
            POWER_TABLE,
        )

    def _born(self, neurons: slice) -> None:
        self.resource[neurons] = self._rule.resource_at_rest
        self._renew(neurons)

    def _removed(self) -> None:
        """Do nothing: a column does not depend on the others."""

    def _refresh(self, neurons: slice) -> None:
        rule = self._rule
        for neuron in range(neurons.start, neurons.stop):
            kernels.refresh_published(
                neuron,
                self.resource,
                self.weights,
                self.threshold,
                rule.w_min,
                rule.w_range,
                rule.base_threshold,
                rule.excess,
            )
