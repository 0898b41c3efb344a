"""Numba kernels of the classifier: present, learn, renormalise. Arrays and integers only; formats in `fixedpoint`.

Inputs spike by their count c in 0..T: at step t when floor((t+1)c/T) > floor(tc/T). The spike times of an input depend
on its count alone, so the weights of all inputs with equal counts are summed first (`sums`), and a step's drive is a
sum of some of these T sums: each weight is read once a presentation.

A step of an L neuron, potential u, threshold theta:

    u <- max(u - ((u * leak) >> 16) + drive - tonic + noise, floor)
    fires if u >= theta, is not silenced, and is the one furthest above theta in its column (the first one, at a tie);
    it silences the others for T steps, and u <- u - theta (soft reset) or 0 (hard reset)

Neurons are numbered (column * members + member) * microcolumns + microcolumn. Numba knows a cached kernel by its own
file alone, so all that is compiled stands in this one.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.compiling import compiled
from edge_app.colanet.fixedpoint import DECORRELATION_MAX, DRIVE_MAX, FACTOR_MAX
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS

T = INPUT_STEPS
ALL_STEPS = INPUT_STEPS + SILENT_STEPS
SILENCED = INPUT_STEPS
INT32_MAX = 2**31 - 1
P_MAX = np.int32(DECORRELATION_MAX)
NEVER = -(2**31)
"""As a floor: none."""
NORM_LEFT = 3
"""Eighths of a squared norm that are never taken for noise."""


class Dynamics(NamedTuple):
    """How potentials move; the same for all neurons of a network."""

    leak: int
    """Part of the potential lost per step, Q0.16."""
    floor: int
    """Lowest potential; NEVER for none."""
    soft_reset: int
    """1: a spike takes the threshold off; 0: it sets the potential to 0."""
    noise_bound: int
    """Upper bound of the random drive per step while learning; 0 for none."""
    seed: int


class Activity(NamedTuple):
    """What one presentation made happen; arrays are overwritten by the next."""

    spikes: NDArray[np.int32]
    """(columns, members): OUT spikes."""
    first: NDArray[np.int32]
    """(columns, members): step of the first OUT spike, ALL_STEPS for none."""
    last: NDArray[np.int32]
    """(columns, members): step of the winner's last spike, -1 for none."""
    winner: NDArray[np.int32]
    """(columns, members): the L neuron (0..K-1) that fired, or the one with the highest potential if none did."""
    excess: NDArray[np.int32]
    """(columns, members): potential above threshold at the first spike, 0 for none."""
    potential: NDArray[np.int32]
    """(columns, members): the winner's potential after the last step."""


@compiled()
def spikes_at(count: int, step: int) -> bool:
    """Whether an input with this count spikes at this step."""
    return (step + 1) * count // T > step * count // T


@compiled()
def count_sums(weights, counts, start, stop, sums):  # type: ignore[no-untyped-def]
    """Set sums (T+1, neurons) int32 to the summed weights (inputs, neurons) int16 of inputs with equal counts.

    Only neurons start..stop-1 are touched; row 0 is not used.
    """
    sums[:, start:stop] = 0
    for wanted in range(1, T + 1):  # count after count: one row of sums stays in the nearest cache
        row = sums[wanted]
        for i in range(counts.shape[0]):
            if counts[i] == wanted:
                source = weights[i]
                for m in range(start, stop):
                    row[m] += source[m]


@compiled()
def drives(sums, tonic, start, stop, drive):  # type: ignore[no-untyped-def]
    """Set drive (T, neurons) int32 to what each step adds to the potentials; `tonic` (neurons,) is spread evenly."""
    for step in range(T):
        row = drive[step]
        for m in range(start, stop):
            row[m] = step * tonic[m] // T - (step + 1) * tonic[m] // T
        for count in range(1, T + 1):
            if spikes_at(count, step):
                source = sums[count]
                for m in range(start, stop):
                    row[m] += source[m]


@compiled()
def mix64(value):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser, uint64 -> uint64; `fixedpoint.mix64` is its twin."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled()
def noise(seed, key, neuron, presentation, step, bound):  # type: ignore[no-untyped-def]
    """Twin of `fixedpoint.noise`."""
    state = mix64(np.uint64(key) ^ mix64(np.uint64(seed) << np.uint64(32) | np.uint64(neuron)))
    state = mix64(state ^ mix64(np.uint64(presentation) << np.uint64(5) | np.uint64(step)))
    return np.int64((state >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32))


@compiled()
def advance(u, drive, base, step, dynamics, key, first_neuron, presentation):  # type: ignore[no-untyped-def]
    """Move the potentials u (K,) int64 of the neurons from `base` on by one step: leak, drive, noise, floor."""
    for k in range(u.shape[0]):
        value = u[k] - ((u[k] * dynamics.leak) >> 16)
        if step < T:
            value += drive[step, base + k]
            if presentation >= 0 and dynamics.noise_bound > 0:
                value += noise(dynamics.seed, key, first_neuron + k, presentation, step, dynamics.noise_bound)
        u[k] = max(value, dynamics.floor)


@compiled()
def furthest(u, threshold, base, step, free_at):  # type: ignore[no-untyped-def]
    """Return the neuron furthest above threshold among those that are not silenced, -1 where none has reached it."""
    best = -1
    for k in range(u.shape[0]):
        excess = u[k] - threshold[base + k]
        if step >= free_at[k] and excess >= 0 and (best < 0 or excess > u[best] - threshold[base + best]):
            best = k
    return best


@compiled()
def most_excited(u):  # type: ignore[no-untyped-def]
    """Return the first of the neurons with the highest potential."""
    best = 0
    for k in range(1, u.shape[0]):
        if u[k] > u[best]:
            best = k
    return best


@compiled()
def integrate(  # type: ignore[no-untyped-def]
    drive, threshold, dynamics, keys, presentation, members, start, stop, activity
):
    """Run columns start..stop-1 through one presentation and fill their rows of `activity`.

    drive (T, neurons) int32; threshold (neurons,) int32; keys (columns,) int64 name the columns' random streams;
    presentation numbers what has been learnt, or is -1 for a decision, which has no noise.
    """
    k_neurons = threshold.shape[0] // keys.shape[0] // members
    u = np.empty(k_neurons, np.int64)
    free_at = np.empty(k_neurons, np.int64)
    for column in range(start, stop):
        for member in range(members):
            base = (column * members + member) * k_neurons
            u[:] = 0
            free_at[:] = 0
            spikes, first, last, fired, excess = 0, ALL_STEPS, -1, -1, np.int64(0)
            for step in range(ALL_STEPS):
                advance(u, drive, base, step, dynamics, keys[column], member * k_neurons, presentation)
                best = furthest(u, threshold, base, step, free_at)
                if best < 0:
                    continue
                free_at[:] = step + 1 + SILENCED
                free_at[best] = 0
                above = u[best] - threshold[base + best]
                if spikes == 0:
                    first, excess, fired = step, above, best
                u[best] = above if dynamics.soft_reset else 0
                spikes += 1
                if best == fired:
                    last = step
            if fired < 0:
                fired = most_excited(u)
            activity.spikes[column, member] = spikes
            activity.first[column, member] = first
            activity.last[column, member] = last
            activity.winner[column, member] = fired
            activity.excess[column, member] = excess
            activity.potential[column, member] = u[fired]


# The published rule


@compiled()
def contributions(first, last, window, table):  # type: ignore[no-untyped-def]
    """Set table (T+1,) to 1 for the counts with a spike in first - window .. last, a sequence's presynaptic trace."""
    table[:] = 0
    for count in range(1, T + 1):
        for step in range(max(first - window, 0), min(last, T - 1) + 1):
            if spikes_at(count, step):
                table[count] = 1


@compiled()
def plasticity(stability, power_table):  # type: ignore[no-untyped-def]
    """2^-s in Q0.16 for a stability in Q15.16."""
    index = (stability + (1 << 9)) >> 10  # 2^16 / 64 entries per unit, the nearest one
    return power_table[index] if index < power_table.shape[0] else 0


@compiled()
def saturate32(value):  # type: ignore[no-untyped-def]
    """`value` cut to +-(2^31 - 1)."""
    return max(min(value, INT32_MAX), -INT32_MAX)


@compiled()
def refresh_published(neuron, resource, weights, threshold, w_min, w_range, base_threshold, excess):  # type: ignore[no-untyped-def]
    """Recompute one neuron's weights Q3.12 and threshold from its resource Q15.16.

    w = w_min + w_range * max(W, 0) / (w_range + max(W, 0)), theta = H + eta * (sum of the positive weights).
    """
    positive = np.int64(0)
    for i in range(resource.shape[1]):
        w = max(np.int64(resource[neuron, i]), 0)
        weight = (w_min + w_range * w // (w_range + w) + 8) >> 4
        weights[i, neuron] = weight
        positive += max(weight, 0)
    threshold[neuron] = min(base_threshold + (positive * excess >> 16), INT32_MAX)


@compiled()
def renormalise(neuron, resource, outstanding, n_silent):  # type: ignore[no-untyped-def]
    """Take what a neuron's synapses gained from all of them and n_silent imaginary ones, once 1.0 is outstanding."""
    if abs(outstanding[neuron]) < 1 << 16:
        return
    n_inputs = resource.shape[1]
    share = (abs(outstanding[neuron]) // (n_inputs + n_silent)) * (1 if outstanding[neuron] > 0 else -1)
    if share == 0:
        return
    for i in range(n_inputs):
        resource[neuron, i] = saturate32(resource[neuron, i] - share)
    outstanding[neuron] -= share * (n_inputs + n_silent)


@compiled()
def learn_published(  # type: ignore[no-untyped-def]
    counts, target, activity, resource, stability, outstanding, weights, threshold, rule, power_table
):
    """Let all columns learn from one presentation, whose target is column `target`.

    resource (neurons, inputs) and stability (neurons,) int32 Q15.16, outstanding (neurons,) int64 Q15.16: changed in
    place with weights (inputs, neurons) and threshold (neurons,). rule: see `published.PublishedRule`.
    """
    members = activity.spikes.shape[1]
    k_neurons = threshold.shape[0] // activity.spikes.shape[0] // members
    table = np.zeros(T + 1, np.int64)
    for column in range(activity.spikes.shape[0]):
        for member in range(members):
            fired = activity.spikes[column, member] > 0
            if not fired and column != target:
                continue
            neuron = (column * members + member) * k_neurons + activity.winner[column, member]
            first, last = activity.first[column, member], activity.last[column, member]
            s: Any = np.int64(stability[neuron])
            gain = np.int64(0)
            if fired:
                contributions(first, last, rule.window, table)
                gain += (rule.loss * plasticity(s, power_table) + (1 << 15)) >> 16
                s = max(s + rule.stability_loss, 0)
                if column == target:
                    gain += (rule.reward * plasticity(s, power_table) + (1 << 15)) >> 16
                    s = max(s + rule.stability_reward[first], 0)
            else:
                contributions(0, T - 1, 0, table)
                gain += (rule.reward * plasticity(s, power_table) + (1 << 15)) >> 16
                s = max(s - rule.stability_forced, 0)
            stability[neuron] = saturate32(s)
            for i in range(counts.shape[0]):
                if table[counts[i]]:
                    before = resource[neuron, i]
                    resource[neuron, i] = saturate32(before + gain)
                    outstanding[neuron] += resource[neuron, i] - before
            renormalise(neuron, resource, outstanding, rule.n_silent)
            refresh_published(
                neuron, resource, weights, threshold, rule.w_min, rule.w_range, rule.base_threshold, rule.excess
            )


# The decorrelated rule


@compiled()
def isqrt(value):  # type: ignore[no-untyped-def]
    """Integer square root of a value in 0..2^62; the float root only starts the search, so every machine agrees."""
    root = np.int64(math.sqrt(value))
    while root * root > value:
        root -= 1
    while (root + 1) * (root + 1) <= value:
        root += 1
    return root


@compiled()
def residual_of(counts, mean, residual):  # type: ignore[no-untyped-def]
    """Set residual (n,) int32 Q15.16 to counts (n,) uint8 - mean (n,) int32 Q7.24, rounded."""
    for i in range(residual.shape[0]):
        residual[i] = ((np.int64(counts[i]) << 24) - mean[i] + 128) >> 8


@compiled()
def saturate_drive(value):  # type: ignore[no-untyped-def]
    """`value` cut to the format of drives and traces, Q10.20."""
    return max(min(value, DRIVE_MAX), -DRIVE_MAX)


@compiled()
def decorrelate(p, residual, start, stop, trace):  # type: ignore[no-untyped-def]
    """Set trace (n,) int32 Q10.20, rows start..stop-1, to P residual; P (n, n) Q1.30, residual (n,) int32 Q15.16."""
    for i in range(start, stop):
        total = np.int64(0)
        row = p[i]
        for j in range(residual.shape[0]):
            total += np.int64(row[j]) * np.int64(residual[j])
        trace[i] = saturate_drive((total + (1 << 25)) >> 26)


@compiled()
def inhibit(p, scaled, start, stop):  # type: ignore[no-untyped-def]
    """P <- P - s s^T for rows start..stop-1: lateral inhibition grows between inputs that vary together; s Q0.30."""
    for i in range(start, stop):
        own = np.int64(scaled[i])
        row = p[i]
        for j in range(scaled.shape[0]):
            value = np.int32(row[j] - np.int32((own * np.int64(scaled[j]) + (1 << 29)) >> 30))  # |s| < 1: int32 does
            row[j] = max(min(value, P_MAX), -P_MAX)


@compiled()
def dot(a, b):  # type: ignore[no-untyped-def]
    """Sum of products of two int32 vectors, int64."""
    total = np.int64(0)
    for i in range(a.shape[0]):
        total += np.int64(a[i]) * np.int64(b[i])
    return total


@compiled()
def lose(drive, residual, trace, scale, start, stop):  # type: ignore[no-untyped-def]
    """Anti-Hebbian loss: each neuron that the residual drives loses as much of the trace as cancels it.

    drive (neurons, n) int32 Q10.20, neurons start..stop-1; scale Q.16: squared counts, see `divide_scale`.
    """
    for m in range(start, stop):
        response = dot(drive[m], residual) >> 20  # Q.16
        factor = (max(min(response, FACTOR_MAX << 6), -FACTOR_MAX << 6) << 24) // scale
        factor = max(min(factor, FACTOR_MAX), -FACTOR_MAX)
        for i in range(trace.shape[0]):
            drive[m, i] = saturate_drive(drive[m, i] - ((factor * trace[i] + (1 << 23)) >> 24))


@compiled()
def scale_trace(trace, scale, scaled):  # type: ignore[no-untyped-def]
    """Set scaled (n,) int32 Q0.30 to trace / sqrt(scale); trace Q10.20, scale Q.16, at least 1.0."""
    root = isqrt(((np.int64(1) << 62) // scale) << 16)  # 2^62/2^16/scale = Q.46, shifted: Q.62, root: Q.31
    for i in range(trace.shape[0]):
        value = (np.int64(trace[i]) * root + (1 << 20)) >> 21
        scaled[i] = max(min(value, (1 << 30) - 1), 1 - (1 << 30))


@compiled()
def reward(drive, mean, trace, counts, base, scale, uses):  # type: ignore[no-untyped-def]
    """Dopamine reward of the winner: its mean moves by residual / (1 + n), and its drive by P residual / (1 + n).

    drive Q10.20 and mean Q7.24 (n,) int32, changed in place; counts (n,) uint8; trace = P residual before P changed;
    base and scale Q.16 as in `divide_scale`: P residual = trace * base / scale after it. The mean is finer than the
    residual: else it stopped short of a constant input, and the drive went on.
    """
    factor = (base << 32) // (scale * (uses + 1))
    for i in range(trace.shape[0]):
        drive[i] = saturate_drive(drive[i] + ((factor * trace[i] + (np.int64(1) << 31)) >> 32))
        gap = (np.int64(counts[i]) << 24) - mean[i]
        mean[i] += (2 * gap + uses + 1) // (2 * (uses + 1))


@compiled()
def refresh_decorrelated(  # type: ignore[no-untyped-def]
    mean, drive, uses, resting, fraction, noise, weights, tonic, threshold, roots
):
    """Recompute weights Q0.15, tonic inhibition and thresholds of all neurons from their means and drives.

    With m and V the mean of the neurons' means and drives, `resting` silent ones counted in, each neuron's weights are
    (drive - V) / norm: the inhibition that columns share takes off what is common to all, and synaptic scaling gives
    every neuron the same norm. norm^2 = (mean - m) . (drive - V), less `noise` (Q.16) / uses, which chance has
    put there; at least NORM_LEFT / 8 of it stays. tonic = m . weights. threshold = fraction (Q0.16) of the
    mean of the norms, which is the drive that a neuron receives from its own mean. roots (neurons,) int64 is scratch.
    """
    neurons, n = mean.shape
    used = 0
    common_mean = np.zeros(n, np.int64)
    common_drive = np.zeros(n, np.int64)
    for m in range(neurons):
        if uses[m] > 0:
            used += 1
            common_mean += mean[m] >> 8  # Q.16
            common_drive += drive[m]
    common_mean //= used + resting
    common_drive //= used + resting
    total = np.int64(0)
    for m in range(neurons):
        roots[m] = 0
        tonic[m] = 0
        if uses[m] > 0:
            norm2: Any = np.int64(0)
            for i in range(n):
                norm2 += ((mean[m, i] >> 8) - common_mean[i]) * (drive[m, i] - common_drive[i])
            norm2 = max(norm2 >> 20, 0)
            roots[m] = isqrt(max(norm2 - noise // uses[m], norm2 * NORM_LEFT >> 3) << 16)
            total += roots[m]
        reciprocal: Any = (1 << 40) // max(roots[m], 64) if roots[m] > 0 else 0
        limit = roots[m] << 4  # a weight of 1.0: the norm, in the format of drives
        inhibition = np.int64(0)
        for i in range(n):
            own = max(min(drive[m, i] - common_drive[i], limit), -limit)
            weight = (own * reciprocal + (1 << 28)) >> 29
            weight = max(min(weight, 32767), -32767)
            weights[i, m] = weight
            inhibition += common_mean[i] * weight
        tonic[m] = inhibition >> 16
    threshold[:] = max((total // max(used, 1) * fraction) >> 17, 1)


@compiled()
def divide_scale(residual, trace, regularisation, uses):  # type: ignore[no-untyped-def]
    """Return (base, scale), Q.16 squared counts: regularisation * (1+n)/n, and that plus residual . trace."""
    base = (np.int64(regularisation) * (uses + 1) << 16) // uses
    return base, base + max(dot(residual, trace) >> 20, 0)
