"""The decorrelated rule with one part removed, for `calibration.ablation`."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params

ALL_SILENT = 1 << 40
"""Silent classes beside which the common mean is 0."""


def network(params: Params, n_inputs: int, kind: type[DecorrelatedColumns] = DecorrelatedColumns) -> CoLaNET:
    """Return a network whose columns are of another kind."""
    assert isinstance(params.plasticity, Decorrelated)
    made = CoLaNET(params, n_inputs)
    made._columns = kind(params, n_inputs, params.plasticity, 1)
    return made


class NoLoss(DecorrelatedColumns):
    """Inputs inhibit one another, but no neuron loses what the residual drives: V stays behind P m."""

    def _lose(self, scale: int) -> None:
        # the parent's inhibition alone: its `kernels.lose` is left out
        kernels.scale_trace(self._trace, scale, self._scaled)
        self._inhibit()


class NoInputInhibition(DecorrelatedColumns):
    """P stays the identity: traces are the plain residuals, and loss is scaled by the error all the same."""

    loses: ClassVar = True

    def learn(self, counts: NDArray[np.uint8], column: int, presentation: int) -> None:
        winner = self._winner(counts, column)
        uses = min(int(self.uses[winner]), self._rule.stability_max)
        if uses > 0:
            self._correct(counts, column, self._rate)
        kernels.residual_of(counts, self.mean[winner], self._residual)
        self._trace[:] = self._residual << 4  # Q15.16 to Q10.20
        if uses > 0 and self.loses:
            _, scale = kernels.divide_scale(self._residual, self._trace, self._regularisation, uses)
            kernels.lose(self.drive, self._residual, self._trace, scale, 0, self.uses.size)
        kernels.reward(self.drive[winner], self.mean[winner], self._trace, counts, 1, 1, uses)
        self.uses[winner] = min(uses + 1, self._rule.stability_max)
        # all neurons: loss has changed every drive, not only the winner's
        self._renew(slice(None))


class RewardAlone(NoInputInhibition):
    """Neither inhibition between inputs nor loss: neurons follow the means of their examples."""

    loses: ClassVar = False


class NoSharedInhibition(DecorrelatedColumns):
    """The common part of all columns is not subtracted."""

    def _refresh(self, neurons: slice) -> None:
        if self.uses.size:
            kernels.refresh_decorrelated(
                self.mean,
                self.drive,
                self.correction,
                self.uses,
                ALL_SILENT,
                self._fraction,
                self.expected_noise,
                self.weights,
                self.tonic,
                self.threshold,
                self._roots,
                self._common,
                self._rows,
            )


class NoScaling(DecorrelatedColumns):
    """All neurons are scaled by their mean norm, not each by its own."""

    def _refresh(self, neurons: slice) -> None:
        used = np.flatnonzero(self.uses)
        if not used.size:
            return
        share = used.size + self._rule.resting_classes
        means, drives = self.mean.astype(float) / 2**24, self.drive.astype(float) / 2**20
        mean, drive = means[used].sum(0) / share, drives[used].sum(0) / share
        self._common[0] = np.rint(mean * 2**16)  # what deviations are taken from
        norm = np.sqrt(np.maximum(((means - mean) * (drives - drive)).sum(1), 0))[used].mean()
        self.weights[:] = 0
        self.tonic[:] = 0
        # half the format's range for a weight of 1: unscaled weights may be larger
        scaled = (drives - drive) / max(norm, 1e-9) + self.correction / 2**24
        weights = np.clip(np.rint(scaled * 2**14), -32767, 32767)
        self.weights[:, used] = weights[used].T
        self.tonic[used] = np.rint(weights[used] @ mean)
        self.threshold[:] = max(round(float(norm) * self._fraction / 2**16 * 2**14), 1)


class SpikesAlone(DecorrelatedColumns):
    """Ties in OUT spikes are broken by the order of the classes, not by the remaining potential."""

    ranks: ClassVar = (kernels.SPIKES,)


class FirstSpike(DecorrelatedColumns):
    """The earliest OUT spike decides, then the number of them, then the remaining potential."""

    ranks: ClassVar = (kernels.EARLIEST, *DecorrelatedColumns.ranks)


class CoarseWeights(DecorrelatedColumns):
    """Weights rounded to few bits, with one scale for the whole network; learning keeps its full formats."""

    bits: ClassVar = 8

    def _refresh(self, neurons: slice) -> None:
        super()._refresh(neurons)
        if not self.weights.any():
            return
        levels = (1 << (self.bits - 1)) - 1
        step = int(np.abs(self.weights.astype(np.int32)).max()) / levels
        self.weights[:] = np.rint(np.rint(self.weights / step) * step)


class VeryCoarseWeights(CoarseWeights):
    """The same with 4 bits."""

    bits: ClassVar = 4
