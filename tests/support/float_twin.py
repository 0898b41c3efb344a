"""The two rules in floating point: what they would do without rounding. The measure of what fixed point costs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.fixedpoint import label_key
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS, Decorrelated, Params, Published

T, STEPS = INPUT_STEPS, INPUT_STEPS + SILENT_STEPS
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def spike_trains(counts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(T, m, n): whether an input spikes, for counts (m, n)."""
    c = counts.astype(np.int64)
    return np.stack([(step + 1) * c // T > step * c // T for step in range(T)])


class DecorrelatedFloat:
    """The decorrelated rule for K = 1, one example after the other; only V = P m is taken from its closed form."""

    def __init__(self, rule: Decorrelated, counts: NDArray[np.uint8], labels: Labels, classes: int) -> None:
        n_inputs = counts.shape[1]
        self.rule = rule
        self.means, self.uses = np.zeros((classes, n_inputs)), np.zeros(classes)
        self.corrections = np.zeros((classes, n_inputs))
        self.p, self.noise, heard = np.eye(n_inputs), 0.0, 0
        for x, label in zip(counts.astype(np.float64), labels, strict=True):
            n, known = self.uses[label], self.uses > 0
            if n:
                self.correct(x, int(label))
                heard = min(heard + 1, 64)
                self.noise += (self.inhibit(x - self.means[label], n, rule.regularisation) - self.noise) / heard
            elif known.any() and rule.novelty:
                self.inhibit(x - self.means[known].mean(0), known.sum(), rule.regularisation / rule.novelty)
            self.means[label] += (x - self.means[label]) / (1 + n)
            self.uses[label] = min(n + 1, rule.stability_max)
        self.refresh()

    def inhibit(self, residual: Floats, n: float, regularisation: float) -> float:
        """P <- P - z z' / d; returns r.z n/(1+n)."""
        trace = self.p @ residual
        energy = residual @ trace
        self.p -= np.outer(trace, trace) / (regularisation * (1 + n) / n + energy)
        return float(energy * n / (1 + n))

    def correct(self, x: Floats, label: int) -> None:
        """Online softmax over the columns that have learnt something."""
        if not self.rule.correction or len(self.uses) == 1:
            return
        self.refresh()
        drive = np.where(self.uses > 0, self.weights @ x - self.tonic, -np.inf)
        error = np.exp2(6 * (drive - drive.max()))
        error /= error.sum()
        error[label] -= 1
        step = -self.rule.correction * error / (1 + self.uses / 64)
        deviation = x - self.common
        self.corrections += np.outer(step, deviation) / (deviation @ deviation)

    def refresh(self) -> None:
        """Weights, tonic inhibition and threshold from means, P and corrections."""
        rule, used = self.rule, self.uses > 0
        drives, share = self.means @ self.p, used.sum() + self.rule.resting_classes
        self.common = self.means.sum(0) / share
        mean, drive = self.means - self.common, drives - drives.sum(0) / share
        squares = (mean * drive).sum(1)
        norms = np.sqrt(np.maximum(squares - rule.noise * self.noise / np.maximum(self.uses, 1), 0.375 * squares))
        self.weights = np.where(used[:, None], drive / norms[:, None], 0) + self.corrections
        self.tonic = self.weights @ self.common
        self.threshold = rule.threshold * norms[used].mean()

    def decide(self, counts: NDArray[np.uint8]) -> Labels:
        """(m,): the class of each row of counts, -1 for unknown."""
        potential = np.zeros((len(counts), len(self.weights)))
        spikes = np.zeros(potential.shape)
        trains = spike_trains(counts)
        for step in range(STEPS):
            if step < T:
                potential += trains[step] @ self.weights.T - self.tonic / T
            fires = potential >= self.threshold
            spikes += fires
            potential -= np.where(fires, self.threshold, 0)
        best = (spikes + 1e-9 * potential / self.threshold).argmax(1)
        return np.where(spikes.any(1), best, -1)


def mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class PublishedFloat:
    """The published rule, presentation by presentation; its random drives are the integer form's, unrounded."""

    def __init__(self, params: Params, n_inputs: int, names: Sequence[str]) -> None:
        assert isinstance(params.plasticity, Published)
        self.params, self.rule, self.n_inputs = params, params.plasticity, n_inputs
        rule, per_column = self.rule, params.microcolumns * params.members
        self.range = rule.w_max - rule.w_min
        self.shape = (len(names), params.members, params.microcolumns)
        self.resource = np.full((*self.shape, n_inputs), -rule.w_min * self.range / rule.w_max)
        self.stability, self.outstanding = np.zeros(self.shape), np.zeros(self.shape)
        self.weights, self.threshold = np.zeros((*self.shape, n_inputs)), np.full(self.shape, rule.threshold)
        neuron = np.arange(per_column, dtype=np.uint64)
        keys = np.array([label_key(name) for name in names], np.uint64)
        self.streams = mixed(keys[:, None] ^ mixed(np.uint64(params.seed) << np.uint64(32) | neuron))
        self.learnt = 0

    def noise(self, step: int) -> Floats:
        state = mixed(self.streams ^ mixed(np.array([self.learnt << 5 | step], np.uint64)))
        return ((state >> np.uint64(32)) / 2**32 * self.rule.sigma).reshape(self.shape)

    def present(self, counts: NDArray[np.uint8], *, learning: bool) -> tuple[NDArray[np.int64], ...]:
        """(columns, members) each: OUT spikes, first step, winner's last step, winner, excess."""
        trains = spike_trains(counts[None])[:, 0]
        potential, free_at = np.zeros(self.shape), np.zeros(self.shape, np.int64)
        spikes, first = np.zeros(self.shape[:2], np.int64), np.full(self.shape[:2], STEPS)
        last, winner, excess = np.full(self.shape[:2], -1), np.full(self.shape[:2], -1), np.zeros(self.shape[:2])
        rows = np.indices(self.shape[:2])
        for step in range(STEPS):
            potential -= potential / self.rule.tau
            if step < T:
                potential += self.weights[..., trains[step]].sum(-1)
                if learning:
                    potential += self.noise(step)
            potential = np.maximum(potential, 0)
            above = np.where(step >= free_at, potential - self.threshold, -np.inf)
            best = above.argmax(2)
            lead = above[rows[0], rows[1], best]
            fires = lead >= 0
            for c, e in zip(*np.nonzero(fires), strict=True):
                k = best[c, e]
                free_at[c, e] = step + 1 + T
                free_at[c, e, k] = 0
                potential[c, e, k] = 0
                if spikes[c, e] == 0:
                    first[c, e], winner[c, e], excess[c, e] = step, k, lead[c, e]
                if winner[c, e] == k:
                    last[c, e] = step
                spikes[c, e] += 1
        return spikes, first, last, np.where(winner < 0, potential.argmax(2), winner), excess

    def learn(self, counts: NDArray[np.uint8], target: int) -> None:
        rule = self.rule
        spikes, first, last, winner, _ = self.present(counts, learning=True)
        self.learnt += 1
        trains = spike_trains(counts[None])[:, 0]
        for c, e in np.ndindex(*self.shape[:2]):
            fired, at = spikes[c, e] > 0, (c, e, winner[c, e])
            if not fired and c != target:
                continue
            gain, s = 0.0, self.stability[at]
            start, stop = (max(first[c, e] - int(3 * rule.tau), 0), last[c, e] + 1) if fired else (0, T)
            if fired:
                gain += rule.loss * 2**-s
                s = max(s + rule.stability_rate * rule.loss, 0)
            if c == target:
                gain += rule.reward * 2**-s
                late = abs(rule.t_dopamine - first[c, e] - rule.isi_max) / rule.isi_max
                s += rule.stability_rate * rule.reward * (max(2 - late, -1) if fired else -1)
            self.stability[at] = max(s, 0)
            contributing = trains[start:stop].any(0)
            self.resource[at][contributing] += gain
            self.outstanding[at] += gain * contributing.sum()
            if abs(self.outstanding[at]) >= 1:
                self.resource[at] -= self.outstanding[at] / (self.n_inputs + rule.n_silent)
                self.outstanding[at] = 0
            positive = np.maximum(self.resource[at], 0)
            self.weights[at] = rule.w_min + self.range * positive / (self.range + positive)
            self.threshold[at] = rule.threshold + rule.excess * np.maximum(self.weights[at], 0).sum()

    def decide(self, counts: NDArray[np.uint8]) -> Labels:
        """(m,): the class of each row of counts, -1 for unknown."""
        found = []
        for row in counts:
            spikes, first, _, _, excess = self.present(row, learning=False)
            rank = list(zip(spikes.sum(1), -first.min(1), excess.sum(1), strict=True))
            best = max(range(len(rank)), key=rank.__getitem__)
            found.append(best if spikes.any() else -1)
        return np.array(found)
