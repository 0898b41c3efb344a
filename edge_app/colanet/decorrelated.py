"""The decorrelated rule: loss and reward scaled by the error, through decorrelated presynaptic traces.

For an example x (spike counts) of a class whose winner has the mean m after n examples:

    residual   r = x - m                      the prediction error of the winner
    trace      z = P r                        after lateral inhibition between the inputs
    scale      d = regularisation (1+n)/n + r.z
    loss       V_j <- V_j - (V_j.r / d) z     every neuron driven by the residual (anti-Hebbian)
    inhibition P   <- P - z z' / d            inputs that vary together inhibit one another
    reward     V   <- V + P r / (1+n)         the winner (dopamine); its stability: log2(1+n)
               m   <- m + r / (1+n)
    noise      running mean of r.z n/(1+n): the squared distance, in the metric P, at which an example lies from what
               its neuron stands for

Before that, with x' = x less what the columns have in common, and e_k the part that column k expected of the example,
less 1 for its class (kernels.errors_of):

    correction U_k <- U_k - rate e_k / (1 + n_k/64) x' / |x'|^2     the winner of each column

and for a neuron's first example, instead of loss, inhibition by what sets it apart from the mean of the k neurons that
were used before: P and all V as above, with r = x - mean and d = regularisation / novelty (1+k)/k + r.z.

P starts as the identity. It stays regularisation * (regularisation I + sum of n/(1+n) r r')^-1 (Sherman and Morrison
1950; the novelties of first examples count in with their weight), and V_j stays P m_j: the columns hold a linear
discriminant with a pooled, regularised covariance, as streaming LDA does (Hayes and Kanan 2020), without a matrix being
inverted. U is an online softmax on top, its step normalised, and slower the more a neuron was used: it mends what no
discriminant with one covariance can tell apart, once there are many examples. Each synapse sees its own trace and its
neuron's response or error. Weights follow from V and U by `kernels.refresh_decorrelated`. A mean of n examples is by
chance noise / n longer than what it stands for: that is taken off before its weights are scaled by its norm, for else a
class that was shown less often than the others would be outvoted by them.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.columns import Appraisal, Arrays, Columns
from edge_app.colanet.fixedpoint import (
    CORRECTION_MAX,
    DECORRELATION_BITS,
    DECORRELATION_MAX,
    DRIVE_MAX,
    POWER_TABLE,
    to_fixed,
)
from edge_app.colanet.kernels import NEVER, Background, ColumnActivity, Dynamics
from edge_app.colanet.params import INPUT_STEPS, Decorrelated, Params

VARIATIONS = 4
"""Variations that together weigh as much as one example."""
REHEARSED = 4
"""Factor by which a rehearsed example corrects more strongly than a new one."""
NOISE_OVER = 64
"""Examples over which the noise is averaged: few, for P changes."""
NOISE_MAX = 1 << 47
"""Largest r.z, Q.16, for the largest number of inputs."""
CACHE_LINE = 32
"""int16 in 64 bytes."""


class DecorrelatedColumns(Columns):
    """Columns under the decorrelated rule.

    mean (neurons, n_inputs) int32 Q7.24; drive (neurons, n_inputs) int32 Q10.20, V above; correction (neurons,
    n_inputs) int32 Q7.24, U; uses (neurons,) int32, n.
    Shared by all columns: decorrelation (n_inputs, n_inputs) int32 Q1.30, P, and noise (2,) int64: Q.16 squared counts,
    and the number of examples that it is averaged over, at most NOISE_OVER.
    """

    neuron_arrays: ClassVar = {
        "mean": (np.dtype(np.int32), True),
        "drive": (np.dtype(np.int32), True),
        "correction": (np.dtype(np.int32), True),
        "uses": (np.dtype(np.int32), False),
    }
    ranges: ClassVar = {
        "mean": (0, INPUT_STEPS << 24),
        "drive": (-DRIVE_MAX, DRIVE_MAX),
        "correction": (-CORRECTION_MAX, CORRECTION_MAX),
        "uses": (0, 65535),
        "decorrelation": (-DECORRELATION_MAX, DECORRELATION_MAX),
        "noise": (0, NOISE_MAX),
        "background_drive": (-DRIVE_MAX, DRIVE_MAX),
    }
    mean: NDArray[np.int32]
    drive: NDArray[np.int32]
    correction: NDArray[np.int32]
    uses: NDArray[np.int32]
    weight_limit: ClassVar = 32767
    ranks: ClassVar = (kernels.SPIKES, kernels.POTENTIAL)

    def __init__(
        self,
        params: Params,
        n_inputs: int,
        rule: Decorrelated,
        threads: int,
        background: NDArray[np.uint8] | None = None,
    ) -> None:
        """Create the columns; background (r, n_inputs) are counts that no class is expected to look like."""
        self.check_size(n_inputs, self.weight_limit)
        self._p: NDArray[np.int32] = np.zeros((n_inputs, n_inputs), np.int32)
        # the identity
        np.fill_diagonal(self._p, 1 << DECORRELATION_BITS)
        self.noise: NDArray[np.int64] = np.zeros(2, np.int64)
        self._residual = np.empty(n_inputs, np.int32)
        self._trace = np.empty(n_inputs, np.int32)
        self._scaled = np.zeros(n_inputs, np.int32)  # inhibition not yet applied to P: see _trace_residual
        # rows: common mean Q.16, common drive Q.20
        self._common = np.zeros((2, n_inputs), np.int64)
        self._rows = np.empty((CACHE_LINE, n_inputs), np.int16)
        self._background = _make_background(background, n_inputs)
        self._rule = rule
        # whole numbers are enough: it is at least 64
        self._regularisation = to_fixed(rule.regularisation, 0)
        self._fraction = to_fixed(rule.threshold, 16)
        self._noise_part = to_fixed(rule.noise, 16)
        self._novel_regularisation = to_fixed(rule.regularisation / rule.novelty, 0) if rule.novelty else 0
        self._rate = to_fixed(rule.correction, 16)
        # no leak and a soft reset: spikes and remaining potential together are the exact drive
        self.dynamics = Dynamics(leak=0, floor=NEVER, soft_reset=1, noise_bound=0, seed=params.seed)
        super().__init__(params, n_inputs, threads)

    @property
    def expected_noise(self) -> int:
        """Noise that is subtracted from the squared norm of a mean of one example, Q.16."""
        return int(self.noise[0]) * self._noise_part >> 16

    @property
    def decorrelation(self) -> NDArray[np.int32]:
        """P (n_inputs, n_inputs) int32 Q1.30, both triangles; writing its diagonal and upper triangle changes P."""
        # the inhibition of the last example is still outstanding: see _trace_residual
        self._inhibit()
        kernels.mirror(self._p)
        return self._p

    def errors(self, activity: ColumnActivity, column: int) -> NDArray[np.int64]:
        """Return how much each column was expected in a presentation, less 1.0 for `column`: (columns,) Q0.16."""
        kernels.errors_of(activity, self.threshold, self.uses, column, POWER_TABLE, self._errors)
        return self._errors

    def deviation(self, counts: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return counts (n_inputs,) minus the mean of the used neurons, Q15.16. Needs at least one used neuron."""
        used = int(np.count_nonzero(self.uses))
        deviation = np.empty(self.n_inputs, np.int32)
        # the common mean counts resting classes in; here it is the mean of the used neurons alone
        kernels.deviation_of(counts, self._common[0] * (used + self._rule.resting_classes) // used, deviation)
        return deviation

    def appraise(self, counts: NDArray[np.uint8], best: int) -> Appraisal:
        """Return novelty and separation: distances of the example from class means and from the mean of all.

        With y the point that the drives of the winner and its nearest columns are the projections of, y_k the mean of
        class k, w the winner, r the nearest other class, and a = OWN_SPREAD, in mean norms:

            novelty     log2(a + |y - y_w|^2) - log2(a + |y|^2) / 2, less the log2 of the squared length of the counts
                        over that of the class's mean, more half the log2 of the examples of the winner's class over the
                        mean number (within +-1/2), less the winner's lead over the others, more the highest drive of
                        the background, and 32 octaves more for each mean norm that the drive stays below what is
                        needed: LEAST_DRIVE, or the background's highest plus its lead, and more where the example is
                        nearer to the background than what was taught, or at a wide angle to the mean of the class; less
                        for few examples
            separation  log2(a + |y - y_r|^2) - log2(a + |y - y_w|^2)
        """
        activity, background = self._activity, self._background
        novelty, separation, learnt = kernels.appraise(
            counts,
            activity.spikes,
            activity.potential,
            activity.winner,
            best,
            self.mean,
            self.drive,
            self.uses,
            self.threshold,
            self._roots,
            self._common,
            background.weights,
            background.tonic,
            background.axis,
            background.middle,
        )
        return Appraisal(novelty, separation, learnt)

    def learn(self, counts: NDArray[np.uint8], column: int, presentation: int) -> None:
        winner = self._winner(counts, column)
        uses = int(self.uses[winner])
        base, scale = 1, 1  # a first example is all new: no loss, full reward
        if uses > 0:
            # first: the error is that of the network before it learns the example
            self._correct(counts, column, self._rate)
            self._expect(counts, winner)
            base, scale = kernels.divide_scale(self._residual, self._trace, self._regularisation, uses)
            self._lose(scale)
            # scale - base is r.z
            self._add_noise((scale - base) * uses // (uses + 1))
        else:
            self._set_apart(counts)
            self._expect(counts, winner)
        kernels.reward(self.drive[winner], self.mean[winner], self._trace, counts, base, scale, uses)
        # a limit keeps a little plasticity for ever, and the count within its format
        self.uses[winner] = min(uses + 1, self._rule.stability_max)
        # all neurons: the means that are subtracted, and the threshold, have changed for everyone
        self._renew(slice(None))

    def vary(self, counts: NDArray[np.uint8], column: int) -> None:
        winner = self._winner(counts, column)
        uses = int(self.uses[winner]) * VARIATIONS
        # a variation of nothing: the column has learnt no example
        if uses == 0:
            return
        self._expect(counts, winner)
        # a sample of weight w = 1/VARIATIONS: w n/(w+n) r r' into the scatter, w/(w+n) r into the mean
        base, scale = kernels.divide_scale(self._residual, self._trace, self._regularisation * VARIATIONS, uses)
        self._lose(scale)
        # only their ratio counts there, and base << 32 must fit 64 bits
        kernels.reward(self.drive[winner], self.mean[winner], self._trace, counts, base >> 2, scale >> 2, uses)
        self._renew(slice(None))

    def rehearse(self, counts: NDArray[np.uint8], column: int) -> None:
        # nothing is renewed when every column expected the example rightly: a rehearsal then costs a decision
        if self.uses[self._winner(counts, column)] > 0 and self._correct(counts, column, self._rate * REHEARSED):
            self._renew(slice(None))

    def arrays(self) -> Arrays:
        self._inhibit()
        # symmetric to the bit: half of it is enough, row by row, which takes a tenth of the time of np.triu_indices
        upper = np.concatenate([self._p[i, i:] for i in range(self.n_inputs)])
        found = {**super().arrays(), "decorrelation": upper, "noise": self.noise}
        if self._background.tonic.size:
            found["background_drive"] = self._background.drive
        return found

    def load(self, arrays: Arrays) -> None:
        n = self.n_inputs
        triangle, noise = (np.dtype(np.int32), (n * (n + 1) // 2,)), (np.dtype(np.int64), self.noise.shape)
        self._check_arrays(arrays, {"decorrelation": triangle, "noise": noise})
        # row i holds n - i values
        rows = np.split(arrays["decorrelation"], np.cumsum(np.arange(n, 1, -1)))
        for i, row in enumerate(rows):
            # the lower triangle stays as it is: no kernel reads it
            self._p[i, i:] = row
        # `arrays` applied it before it was written
        self._scaled[:] = 0
        self.noise[:] = arrays["noise"]
        # the loss of each example changed the background's drive as well, so it is part of the state
        if self._background.tonic.size:
            drive = self._background.drive
            self._check_arrays(arrays, {"background_drive": (drive.dtype, drive.shape)})
            drive[:] = arrays["background_drive"]
        super().load(arrays)

    def decision_arrays(self) -> Arrays:
        """Return all that decisions and their novelty depend on, for one L neuron a column (docs/npz.md)."""
        # of all pairs: a reader chooses the nearest columns itself
        shared = np.zeros((self.uses.size, self.uses.size), np.int64)
        kernels.shared_drives(self.mean, self.drive, self._common, self._roots, shared)
        used = int(np.count_nonzero(self.uses))
        learnt = [max(int(uses), 1) for uses in self.uses]
        return {
            "mean_norm": np.array(max(int(self._roots.sum()) // (used or 1), kernels.LEAST_NORM)),
            "norms": self._roots.copy(),
            "shared": shared,
            "background_weights": self._background.weights,
            "background_tonic": self._background.tonic,
            "axis": self._background.axis,
            "middle": self._background.middle,
            "means": self.mean >> 8,
            "few": np.array([4 * n * n for n in learnt]),
            "shares": np.array([kernels.share_of(n, used, int(self.uses.sum())) for n in learnt]),
            "least_kinship": np.array([kernels.least_kinship(n) for n in learnt]),
            "least_cosine": np.array([kernels.least_cosine(n) for n in learnt]),
            "neighbours": np.array(kernels.NEIGHBOURS),
            "ridge": np.array(kernels.RIDGE),
            "own_spread": np.array(kernels.OWN_SPREAD),
            "background_lead": np.array(kernels.BACKGROUND_LEAD),
            "least_drive": np.array(kernels.LEAST_DRIVE),
        }

    def _winner(self, counts: NDArray[np.uint8], column: int) -> int:
        """The neuron that learns: the one that fired, else a fresh one, else the most excited (the gate's choice)."""
        first = column * self.per_column
        # nothing to choose: a presentation is saved
        if self.per_column == 1:
            return first
        activity = self.present(counts)
        fresh = np.flatnonzero(self.uses[first : first + self.per_column] == 0)
        if activity.spikes[column, 0] == 0 and fresh.size:
            return first + int(fresh[0])
        return first + int(activity.winner[column, 0])

    def _expect(self, counts: NDArray[np.uint8], winner: int) -> None:
        """Compute the residual (prediction error) of the winner, and its trace after lateral inhibition."""
        kernels.residual_of(counts, self.mean[winner], self._residual)
        self._trace_residual()

    def _trace_residual(self) -> None:
        """Set the trace to the residual after lateral inhibition.

        In the same pass P receives the inhibition of the previous example: P is by far the largest array that learning
        uses, so it is read and written once per example.
        """
        # integers: the sum over blocks does not depend on how many there are
        blocks = self.spread(
            lambda start, stop: kernels.inhibit_and_decorrelate(self._p, self._scaled, self._residual, start, stop),
            # rows of a triangle differ in length: folded, all blocks have as much to do
            kernels.folded(self.n_inputs),
            4 * self.n_inputs,
        )
        self._scaled[:] = 0
        kernels.trace_of(sum(blocks), self._trace)

    def _inhibit(self) -> None:
        """Apply the outstanding inhibition to P."""
        kernels.inhibit(self._p, self._scaled)
        self._scaled[:] = 0

    def _correct(self, counts: NDArray[np.uint8], column: int, rate: int) -> bool:
        """Correct the winner of each column by how wrongly it expected the example; returns whether any was wrong."""
        # a single column expects everything of itself: its error is 0
        if rate == 0 or self.keys.size == 1:
            return False
        activity = self.present(counts)
        errors = self.errors(activity, column)
        kernels.deviation_of(counts, self._common[0], self._residual)
        return bool(kernels.correct(errors, activity, self.uses, self._residual, rate, self.correction))

    def _set_apart(self, counts: NDArray[np.uint8]) -> None:
        """Let the inputs in which a first example differs from the mean of the neurons inhibit one another."""
        used = int(np.count_nonzero(self.uses))
        if self._novel_regularisation == 0 or used == 0:
            return
        self._residual[:] = self.deviation(counts)
        self._trace_residual()
        self._lose(kernels.divide_scale(self._residual, self._trace, self._novel_regularisation, used)[1])

    def _lose(self, scale: int) -> None:
        """Loss and inhibition: cancel the response to the residual, in all columns and between the inputs."""
        kernels.scale_trace(self._trace, scale, self._scaled)

        def lose(start: int, stop: int) -> None:
            kernels.lose(self.drive, self._residual, self._trace, scale, start, stop)

        self.spread(lose, self.uses.size, self.n_inputs)
        background = self._background.drive
        # the background too, so that its drives stay P m under the changed P
        kernels.lose(background, self._residual, self._trace, scale, 0, background.shape[0])

    def _resize_scratch(self) -> None:
        super()._resize_scratch()
        self._roots = np.zeros(self.threshold.size, np.int64)
        self._errors = np.empty(self.keys.size, np.int64)

    def _add_noise(self, energy: int) -> None:
        """Add an example's energy, Q.16, to the running mean of the noise."""
        noise, examples = self.noise.tolist()
        # an exact mean at first, then a running one
        examples = min(examples + 1, NOISE_OVER)
        self.noise[:] = noise + (energy - noise) // examples, examples

    def _born(self, neurons: slice) -> None:
        self._renew(neurons)

    def _removed(self) -> None:
        self._renew(slice(None))

    def _refresh(self, neurons: slice) -> None:
        if self.uses.size == 0:
            return
        kernels.refresh_decorrelated(
            self.mean,
            self.drive,
            self.correction,
            self.uses,
            self._rule.resting_classes,
            self._fraction,
            self.expected_noise,
            self.weights,
            self.tonic,
            self.threshold,
            self._roots,
            self._common,
            self._rows,
        )
        kernels.refresh_background(self._background, self._common)
        kernels.refresh_kinship(self._background, self._common, self.uses, self._rule.resting_classes)


def _make_background(counts: NDArray[np.uint8] | None, n_inputs: int) -> Background:
    """Return columns that stand for counts (r, n_inputs) and have been shown nothing else."""
    if counts is None:
        counts = np.zeros((0, n_inputs), np.uint8)
    return Background(
        # Q7.24 and Q10.20; P is the identity, so drive = mean
        mean=counts.astype(np.int32) << 24,
        drive=counts.astype(np.int32) << 20,
        weights=np.zeros(counts.shape, np.int16),
        tonic=np.zeros(len(counts), np.int64),
        no_correction=np.zeros(n_inputs, np.int32),
        centre=(counts.astype(np.int64).sum(axis=0) << 16) // max(len(counts), 1),
        axis=np.zeros(n_inputs, np.int64),
        middle=np.zeros(2, np.int64),
    )
