"""Numba kernels of the classifier: present, learn, renormalise. Arrays and integers only; formats in `fixedpoint`.

Inputs spike by their count c in 0..T: at step t when floor((t+1)c/T) > floor(tc/T). The spike times of an input depend
on its count alone, so the weights of all inputs with equal counts are summed first (`sums`), and a step's drive is a
sum of some of these T sums: each weight is read once a presentation.

A step of an L neuron, potential u, threshold theta:

    u <- max(u - ((u * leak) >> 16) + drive - tonic + noise, floor)
    fires if u >= theta, is not silenced, and is the one furthest above theta in its column (the first one, at a tie);
    it silences the others for T steps, and u <- u - theta (soft reset) or 0 (hard reset)

Neurons are numbered (column * members + member) * microcolumns + microcolumn. Numba identifies a cached kernel by
its own file, so all compiled code is in this one.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.compiling import compiled
from edge_app.colanet.fixedpoint import CORRECTION_MAX, DECORRELATION_MAX, DRIVE_MAX, FACTOR_MAX
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS

T = INPUT_STEPS
ALL_STEPS = INPUT_STEPS + SILENT_STEPS
SILENCED = INPUT_STEPS
INT32_MAX = 2**31 - 1
TILE = 512
"""Neurons whose sums, T int32 each, fit a cache of 32 KB together."""
MIRROR_TILE = 64
P_MAX = np.int32(DECORRELATION_MAX)
EXCITATION_BITS = 10
SPIKES, EARLIEST, EXCESS, POTENTIAL, EXCITATION = range(5)
"""Rows of a tally, (columns,) each: OUT spikes; minus the step of the earliest one; excess over threshold at the first
spikes; remaining potential; excitation. All are sums over members but the second."""
NEVER = -(2**31)
"""Value of `Dynamics.floor` for no floor."""
NORM_LEFT = 3
"""Eighths of a squared norm that are never subtracted as noise."""
SHARPNESS = 6
"""Halvings of a column's expectation for a drive that is lower by 1.0."""
SETTLED = 64
"""Examples after which a neuron is corrected by half."""
NEIGHBOURS = 8
"""Columns whose drives novelty is computed from: the winner and the most driven of the others."""
RIDGE = 1 << 17
"""Added to the diagonal of the columns' drives of one another, Q.24, so that two equal classes can be told as well."""
OWN_SPREAD = 1 << 11
"""Squared distance, Q.16 in squared mean norms, below which an example is as good as at its class's mean."""
BACKGROUND_LEAD = 3 << 12
"""Drive by which a familiar example leads over the background, Q.16 in mean norms."""
LEAST_NORM = 64
"""Least mean norm, Q.16, that drives are told in."""
LEAST_DRIVE = 7 << 12
"""Drive below which nothing is familiar, Q.16 in mean norms."""
LEAST_KINSHIP = 6 << 12
"""Kinship with what was taught below which more drive is needed, twice what is missing, Q.16."""
FIRST_KINSHIP = 5 << 14
"""Divided by the examples of the class: how much less kinship is enough while there are few, Q.16."""
LIKENESS = 27
"""In 64ths, the squared cosine of an example and its class's mean, after many, below which more drive is needed."""
LEAST_ERROR = 1 << 6
"""Errors below a thousandth, Q0.16, correct nothing."""


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


class Scratch(NamedTuple):
    """Working memory of a presentation."""

    sums: NDArray[np.int32]
    """(T + 1, neurons), see `count_sums`."""
    drive: NDArray[np.int32]
    """(T, neurons), see `drives`."""
    u: NDArray[np.int64]
    """(neurons,): potentials."""
    free_at: NDArray[np.int64]
    """(neurons,): the step from which a neuron is no longer silenced."""


class ColumnActivity(NamedTuple):
    """Response of all columns to one presentation; the arrays are overwritten by the next."""

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


class Background(NamedTuple):
    """Columns that never win: general images, beside which an example must stand out to be familiar."""

    mean: NDArray[np.int32]
    """(r, n) Q7.24: what they stand for."""
    drive: NDArray[np.int32]
    """(r, n) Q10.20: that after lateral inhibition."""
    weights: NDArray[np.int16]
    """(r, n) Q0.15."""
    tonic: NDArray[np.int64]
    """(r,): tonic inhibition, as the weights."""
    no_correction: NDArray[np.int32]
    """(n,) zeros."""
    centre: NDArray[np.int64]
    """(n,) Q.16: the mean of what they stand for."""
    axis: NDArray[np.int64]
    """(n,) Q.20: the mean drive of what was taught, less their own."""
    middle: NDArray[np.int64]
    """(2,) Q.16: the point between the two means, and the distance of them, along the axis; 0 where there is none."""


@compiled()
def spikes_at(count: int, step: int) -> bool:
    """Whether an input with this count spikes at this step."""
    return (step + 1) * count // T > step * count // T


@compiled()
def group(counts, order, filled):  # type: ignore[no-untyped-def]
    """Sort inputs by count: order[c, :filled[c]] become those with c spikes; order (T+1, n) int16, filled (T+1,)."""
    filled[:] = 0
    for i in range(counts.shape[0]):
        count = counts[i]
        order[count, filled[count]] = i
        filled[count] += 1


@compiled()
def count_sums(weights, order, filled, start, stop, sums):  # type: ignore[no-untyped-def]
    """Set sums (T+1, neurons) int32 to the summed weights (inputs, neurons) int16 of inputs with equal counts.

    order and filled as `group` leaves them. Only neurons start..stop-1 are touched; row 0 is not used. Four inputs are
    added at a time, so that a sum is read and written once for four weights; a tile of sums stays in the nearest cache.
    """
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        # inputs without spikes add nothing: row 0 is left out
        for count in range(1, T + 1):
            row = sums[count, low:high]
            row[:] = 0
            inputs = order[count, : filled[count]]
            fours = inputs.shape[0] // 4 * 4
            for i in range(0, fours, 4):
                first, second = weights[inputs[i], low:high], weights[inputs[i + 1], low:high]
                third, fourth = weights[inputs[i + 2], low:high], weights[inputs[i + 3], low:high]
                for m in range(row.shape[0]):
                    row[m] += first[m] + second[m] + third[m] + fourth[m]
            for i in range(fours, inputs.shape[0]):
                source = weights[inputs[i], low:high]
                for m in range(row.shape[0]):
                    row[m] += source[m]


@compiled()
def spread_evenly(tonic, steady):  # type: ignore[no-untyped-def]
    """Set steady (T, neurons) int32 to what tonic inhibition (neurons,) adds to the drive of each step."""
    for step in range(T):
        for m in range(tonic.shape[0]):
            # differences of rounded multiples: over T steps exactly -tonic is added
            steady[step, m] = step * tonic[m] // T - (step + 1) * tonic[m] // T


@compiled()
def drives(sums, steady, start, stop, drive):  # type: ignore[no-untyped-def]
    """Set drive (T, neurons) int32 to what each step adds to the potentials; steady as `spread_evenly` leaves it."""
    for step in range(T):
        row, tonic = drive[step, start:stop], steady[step, start:stop]
        # not row[:] = tonic: numba would compile the text of an error about shapes, a tenth of all that it compiles
        for m in range(row.shape[0]):
            row[m] = tonic[m]
        for count in range(1, T + 1):
            if spikes_at(count, step):
                source = sums[count, start:stop]
                for m in range(row.shape[0]):
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
            # decisions are without noise: the same picture gives the same decision
            if presentation >= 0 and dynamics.noise_bound > 0:
                value += noise(dynamics.seed, key, first_neuron + k, presentation, step, dynamics.noise_bound)
        u[k] = max(value, dynamics.floor)


@compiled()
def furthest(u, threshold, base, step, free_at):  # type: ignore[no-untyped-def]
    """Return the neuron furthest above threshold among those that are not silenced, -1 where none has reached it."""
    best = -1
    for k in range(u.shape[0]):
        # strictly greater below: the first neuron wins a tie, on every machine
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
def step_alone(step, drive, theta, soft_reset, now):  # type: ignore[no-untyped-def]
    """One step of a neuron alone in its column, without branches; `now` and the result: as `run_alone`'s arrays."""
    # selections instead of branches: the compiler turns the loop over neurons into vector instructions
    u, spikes, first, last, excess = now
    u = np.int32(u + drive)
    above = np.int32(u - theta)
    fires = above >= 0
    begins = fires and spikes == 0
    return (
        np.int32((above if soft_reset else 0) if fires else u),
        np.int32(spikes + fires),
        np.int32(step if begins else first),
        np.int32(step if fires else last),
        np.int32(above if begins else excess),
    )


@compiled()
def run_alone(sums, steady, threshold, soft, start, stop, potential, spikes, first, last, excess):  # type: ignore[no-untyped-def]
    """`drives` and `integrate` in one, for one neuron a column, without leak, floor and noise.

    All arrays (neurons,) int32. The drive of each step is written out (it follows from `spikes_at`), so that the
    compiler vectorises over neurons.
    """
    s1, s2, s3, s4 = sums[1, start:stop], sums[2, start:stop], sums[3, start:stop], sums[4, start:stop]
    s5, s6, s7, s8 = sums[5, start:stop], sums[6, start:stop], sums[7, start:stop], sums[8, start:stop]
    s9, s10 = sums[9, start:stop], sums[10, start:stop]
    t0, t1, t2, t3 = steady[0, start:stop], steady[1, start:stop], steady[2, start:stop], steady[3, start:stop]
    t4, t5, t6, t7 = steady[4, start:stop], steady[5, start:stop], steady[6, start:stop], steady[7, start:stop]
    t8, t9 = steady[8, start:stop], steady[9, start:stop]
    thresholds, potential, spikes = threshold[start:stop], potential[start:stop], spikes[start:stop]
    first, last, excess = first[start:stop], last[start:stop], excess[start:stop]
    for m in range(thresholds.shape[0]):
        theta = thresholds[m]
        now = (np.int32(0), np.int32(0), np.int32(ALL_STEPS), np.int32(-1), np.int32(0))
        now = step_alone(0, t0[m] + s10[m], theta, soft, now)
        now = step_alone(1, t1[m] + s5[m] + s6[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(2, t2[m] + s4[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(3, t3[m] + s3[m] + s5[m] + s6[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(4, t4[m] + s2[m] + s4[m] + s6[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(5, t5[m] + s5[m] + s7[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(6, t6[m] + s3[m] + s6[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(7, t7[m] + s4[m] + s5[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(8, t8[m] + s6[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now)
        now = step_alone(
            9, t9[m] + s1[m] + s2[m] + s3[m] + s4[m] + s5[m] + s6[m] + s7[m] + s8[m] + s9[m] + s10[m], theta, soft, now
        )
        # silent steps: the potential left over may still fire
        for step in range(T, ALL_STEPS):
            now = step_alone(step, 0, theta, soft, now)
        potential[m], spikes[m], first[m], last[m], excess[m] = now


@compiled()
def integrate(  # type: ignore[no-untyped-def]
    drive, threshold, dynamics, keys, presentation, members, start, stop, u_of, free_at_of, activity
):
    """Run columns start..stop-1 through one presentation and fill their rows of `activity`.

    drive (T, neurons) int32; threshold (neurons,) int32; keys (columns,) int64 name the columns' random streams;
    presentation numbers what has been learnt, or is -1 for a decision, which has no noise. u_of and free_at_of
    (neurons,) int64 are scratch.
    """
    k_neurons = threshold.shape[0] // keys.shape[0] // members
    for column in range(start, stop):
        for member in range(members):
            base = (column * members + member) * k_neurons
            u, free_at = u_of[base : base + k_neurons], free_at_of[base : base + k_neurons]
            u[:] = 0
            free_at[:] = 0
            spikes, first, last, fired, excess = 0, ALL_STEPS, -1, -1, np.int64(0)
            for step in range(ALL_STEPS):
                advance(u, drive, base, step, dynamics, keys[column], member * k_neurons, presentation)
                best = furthest(u, threshold, base, step, free_at)
                if best < 0:
                    continue
                # all but the winner, which is freed again below
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


@compiled()
def present(  # type: ignore[no-untyped-def]
    weights, order, filled, steady, threshold, dynamics, keys, presentation, members, start, stop, scratch, activity
):
    """Show columns start..stop-1 the inputs in `order`, and fill their rows of `activity`."""
    columns = keys.shape[0]
    per_column = threshold.shape[0] // columns
    low, high = start * per_column, stop * per_column
    sums, drive, u, free_at = scratch
    count_sums(weights, order, filled, low, high, sums)
    # the default network: vectorised over neurons, with the same bits
    plain = dynamics.leak == 0 and dynamics.floor == NEVER and (presentation < 0 or dynamics.noise_bound == 0)
    if plain and per_column == members:
        flat = per_column * columns
        activity.winner.reshape(flat)[low:high] = 0
        run_alone(
            sums,
            steady,
            threshold,
            dynamics.soft_reset,
            low,
            high,
            activity.potential.reshape(flat),
            activity.spikes.reshape(flat),
            activity.first.reshape(flat),
            activity.last.reshape(flat),
            activity.excess.reshape(flat),
        )
    else:
        drives(sums, steady, low, high, drive)
        integrate(drive, threshold, dynamics, keys, presentation, members, start, stop, u, free_at, activity)


@compiled()
def tally(activity, threshold, totals):  # type: ignore[no-untyped-def]
    """Set totals (5, columns) int64 to the sums over members, rows in the order of `SPIKES` .. `EXCITATION`.

    Excitation, in 1/1024 of a threshold: OUT spikes plus the remaining potential.
    """
    columns, members = activity.spikes.shape
    k_neurons = threshold.shape[0] // max(columns * members, 1)
    totals[:] = 0
    # negated, so that the greatest value wins in every row
    totals[EARLIEST] = -ALL_STEPS
    for column in range(columns):
        for member in range(members):
            neuron = (column * members + member) * k_neurons + activity.winner[column, member]
            spikes, left = np.int64(activity.spikes[column, member]), np.int64(activity.potential[column, member])
            totals[SPIKES, column] += spikes
            totals[EARLIEST, column] = max(totals[EARLIEST, column], -activity.first[column, member])
            totals[EXCESS, column] += activity.excess[column, member]
            totals[POTENTIAL, column] += left
            share = (left << EXCITATION_BITS) // max(threshold[neuron], 1)
            totals[EXCITATION, column] += (spikes << EXCITATION_BITS) + share


@compiled()
def winner_of(totals, ranks):  # type: ignore[no-untyped-def]
    """Return the winning column, and its margin in OUT spikes over the runner-up (over 0 when there is none).

    Columns are compared by the rows `ranks` (k,) of totals, the first row first; at a tie in all the first column wins.
    """
    best = 0
    for column in range(1, totals.shape[1]):
        for i in range(ranks.shape[0]):
            ahead = totals[ranks[i], column] - totals[ranks[i], best]
            if ahead > 0:
                best = column
            if ahead != 0:
                break
    second = np.int64(0)
    for column in range(totals.shape[1]):
        if column != best:
            second = max(second, totals[SPIKES, column])
    return best, totals[SPIKES, best] - second


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
    # beyond the table 2^-s is at most half a unit of Q0.16
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
        # Q15.16 to Q3.12, rounded
        weight = (w_min + w_range * w // (w_range + w) + 8) >> 4
        weights[i, neuron] = weight
        positive += max(weight, 0)
    threshold[neuron] = min(base_threshold + (positive * excess >> 16), INT32_MAX)


@compiled()
def renormalise(neuron, resource, outstanding, n_silent):  # type: ignore[no-untyped-def]
    """Subtract what some synapses gained evenly from all and n_silent imaginary ones, once 1.0 is outstanding."""
    if abs(outstanding[neuron]) < 1 << 16:
        return
    n_inputs = resource.shape[1]
    # the sign apart: // rounds towards minus infinity, so that gains and losses would be shared differently
    share = (abs(outstanding[neuron]) // (n_inputs + n_silent)) * (1 if outstanding[neuron] > 0 else -1)
    if share == 0:
        return
    for i in range(n_inputs):
        resource[neuron, i] = saturate32(resource[neuron, i] - share)
    # what was shared, not all: the remainder stays outstanding
    outstanding[neuron] -= share * (n_inputs + n_silent)


@compiled()
def gain_resource(neuron, counts, table, gain, resource, outstanding):  # type: ignore[no-untyped-def]
    """Add gain Q15.16 to the resources of the contributing synapses, and what they gained to outstanding."""
    for i in range(counts.shape[0]):
        if table[counts[i]]:
            before = resource[neuron, i]
            resource[neuron, i] = saturate32(before + gain)
            # what was gained after saturation, not `gain`
            outstanding[neuron] += resource[neuron, i] - before


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
            # the gate: a column that neither fired nor should have learns nothing
            if not fired and column != target:
                continue
            neuron = (column * members + member) * k_neurons + activity.winner[column, member]
            first, last = activity.first[column, member], activity.last[column, member]
            # Any for mypy: numba gives it one type, int64
            s: Any = np.int64(stability[neuron])
            gain = np.int64(0)
            if fired:
                contributions(first, last, rule.window, table)
                # rounded to nearest: rounding down turned losses below a unit into one, and rewards into none
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
            gain_resource(neuron, counts, table, gain, resource, outstanding)
            renormalise(neuron, resource, outstanding, rule.n_silent)
            refresh_published(
                neuron, resource, weights, threshold, rule.w_min, rule.w_range, rule.base_threshold, rule.excess
            )


# The decorrelated rule


@compiled()
def deviation_of(counts, common_mean, deviation):  # type: ignore[no-untyped-def]
    """Set deviation (n,) int32 Q15.16 to counts (n,) uint8 minus common_mean (n,) int64 Q.16."""
    for i in range(deviation.shape[0]):
        deviation[i] = (np.int64(counts[i]) << 16) - common_mean[i]


@compiled()
def errors_of(activity, threshold, uses, target, power_table, errors):  # type: ignore[no-untyped-def]
    """Set errors (columns,) int64 Q0.16 to each column's expectation, less 1.0 for the `target`.

    A column's expectation is 2^(SHARPNESS drive) divided by the sum over all columns; its drive is the thresholds of
    its spikes plus its remaining potential. A column whose winner was never used has an expectation of 0.
    """
    columns = errors.shape[0]
    per_column = threshold.shape[0] // columns
    highest = np.int64(NEVER)
    for column in range(columns):
        neuron = column * per_column + activity.winner[column, 0]
        errors[column] = np.int64(activity.spikes[column, 0]) * threshold[neuron] + activity.potential[column, 0]
        if uses[neuron] > 0:
            highest = max(highest, errors[column])
    total = np.int64(0)
    for column in range(columns):
        used = uses[column * per_column + activity.winner[column, 0]] > 0
        below = (highest - errors[column]) * (2 * SHARPNESS)  # Q.15 to Q.16
        errors[column] = plasticity(below, power_table) if used else 0
        total += errors[column]
    for column in range(columns):
        # total is at least 2^16: the highest column's own part is 1.0
        errors[column] = (errors[column] << 16) // total
    errors[target] -= 1 << 16


@compiled()
def correct(errors, activity, uses, deviation, rate, correction):  # type: ignore[no-untyped-def]
    """Move each column's winner by its error: U <- U - rate error / (1 + n/SETTLED) x / |x|^2, x the deviation.

    Returns how many were moved. correction (neurons, n) int32 Q7.24, U, changed in place; errors as `errors_of` leaves
    them; deviation (n,) int32 Q15.16; rate Q.16: the part of its error that an unused neuron would unlearn of this
    example.
    """
    per_column = uses.shape[0] // errors.shape[0]
    # at least 1.0: an example that equals the common mean must not divide by 0
    energy: Any = max(dot(deviation, deviation) >> 16, 1 << 16)
    moved = 0
    for column in range(errors.shape[0]):
        # most columns: skipping them saves a pass over their weights
        if abs(errors[column]) < LEAST_ERROR:
            continue
        moved += 1
        neuron = column * per_column + activity.winner[column, 0]
        step = -errors[column] * rate * SETTLED // (SETTLED + uses[neuron])  # Q.32
        factor = (step << 24) // energy  # Q.40
        row = correction[neuron]
        for i in range(row.shape[0]):
            row[i] = max(
                min(row[i] + ((factor * deviation[i] + (np.int64(1) << 31)) >> 32), CORRECTION_MAX), -CORRECTION_MAX
            )
    return moved


@compiled()
def isqrt(value):  # type: ignore[no-untyped-def]
    """Integer square root of a value in 0..2^62; the float root only starts the search, so every machine agrees."""
    # sqrt is rounded alike by IEEE 754, but above 2^53 `value` is not exact as a float
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
def inhibited(own, others, row):  # type: ignore[no-untyped-def]
    """Lateral inhibition of one input by `others` (m,) int32 Q0.30: row <- row - own * others, in place; |s| < 1."""
    for j in range(row.shape[0]):
        # int32 in, int32 out: twice as many elements in a vector register; |own * other| < 1, so nothing wraps
        value = np.int32(row[j] - np.int32((np.int64(own) * np.int64(others[j]) + (1 << 29)) >> 30))
        row[j] = max(min(value, P_MAX), -P_MAX)


@compiled()
def inhibit(p, scaled):  # type: ignore[no-untyped-def]
    """P <- P - s s^T: lateral inhibition grows between inputs that vary together.

    p (n, n) int32 Q1.30 is symmetric: what lies on its diagonal and above is read and written. scaled (n,) int32 Q0.30.
    """
    for i in range(scaled.shape[0]):
        inhibited(scaled[i], scaled[i:], p[i, i:])


@compiled()
def mirror(p):  # type: ignore[no-untyped-def]
    """Copy what lies above the diagonal of p (n, n) to below it."""
    # in tiles: a whole column of P would touch a cache line for each element
    for low in range(0, p.shape[0], MIRROR_TILE):
        for i in range(low, p.shape[0]):
            for j in range(low, min(low + MIRROR_TILE, i)):
                p[i, j] = p[j, i]


@compiled()
def decorrelate_row(p, i, scaled, residual, totals):  # type: ignore[no-untyped-def]
    """One row of the upper triangle for `inhibit_and_decorrelate`."""
    inhibited(scaled[i], scaled[i:], p[i, i:])
    total = np.int64(p[i, i]) * residual[i]
    # P is symmetric: an element above the diagonal also counts for the input below it
    row, others, theirs = p[i, i + 1 :], residual[i + 1 :], totals[i + 1 :]
    own = np.int64(residual[i])
    for j in range(row.shape[0]):
        total += np.int64(row[j]) * np.int64(others[j])
        theirs[j] += np.int64(row[j]) * own
    totals[i] += total


@compiled()
def decorrelate_rows(p, i, scaled, residual, totals):  # type: ignore[no-untyped-def]
    """Two rows of the upper triangle for `inhibit_and_decorrelate`: `totals` is read and written once for both."""
    inhibited(scaled[i], scaled[i : i + 2], p[i, i : i + 2])
    inhibited(scaled[i + 1], scaled[i + 1 : i + 2], p[i + 1, i + 1 : i + 2])
    upper, lower = np.int64(scaled[i]), np.int64(scaled[i + 1])
    own, next_own = np.int64(residual[i]), np.int64(residual[i + 1])
    total = p[i, i] * own + p[i, i + 1] * next_own
    next_total = p[i, i + 1] * own + p[i + 1, i + 1] * next_own
    row, next_row = p[i, i + 2 :], p[i + 1, i + 2 :]
    s, r, theirs = scaled[i + 2 :], residual[i + 2 :], totals[i + 2 :]
    for j in range(row.shape[0]):
        value = np.int32(row[j] - np.int32((upper * np.int64(s[j]) + (1 << 29)) >> 30))
        below = np.int32(next_row[j] - np.int32((lower * np.int64(s[j]) + (1 << 29)) >> 30))
        value, below = max(min(value, P_MAX), -P_MAX), max(min(below, P_MAX), -P_MAX)
        row[j], next_row[j] = value, below
        total += np.int64(value) * np.int64(r[j])
        next_total += np.int64(below) * np.int64(r[j])
        theirs[j] += np.int64(value) * own + np.int64(below) * next_own
    totals[i] += total
    totals[i + 1] += next_total


def folded(n: int) -> int:
    """Blocks of rows that `inhibit_and_decorrelate` may be split into, for n inputs."""
    return ((n + 1) // 2 + 1) // 2


@compiled()
def inhibit_and_decorrelate(p, scaled, residual, start, stop):  # type: ignore[no-untyped-def]
    """P <- P - s s^T as in `inhibit`, and return P residual, (n,) int64 Q.46, in one pass over the upper triangle.

    residual (n,) int32 Q15.16. Rows are taken in pairs, and pairs from both ends, so that all blocks start..stop-1 of
    the `folded(n)` have as much to do; the sum of what they return is the whole.
    """
    n = p.shape[0]
    totals = np.zeros(n, np.int64)
    pairs = (n + 1) // 2
    for block in range(start, stop):
        # a long pair of rows with a short one
        for pair in (block, pairs - 1 - block):
            if 2 * pair + 1 < n:
                decorrelate_rows(p, 2 * pair, scaled, residual, totals)
            else:
                decorrelate_row(p, 2 * pair, scaled, residual, totals)
            # the middle pair is its own partner
            if 2 * block + 1 == pairs:
                break
    return totals


@compiled()
def trace_of(totals, trace):  # type: ignore[no-untyped-def]
    """Set trace (n,) int32 Q10.20 to totals (n,) int64 Q.46, rounded."""
    for i in range(trace.shape[0]):
        trace[i] = saturate_drive((totals[i] + (1 << 25)) >> 26)


@compiled()
def dot(a, b):  # type: ignore[no-untyped-def]
    """Sum of products of two int32 vectors, int64."""
    total = np.int64(0)
    for i in range(a.shape[0]):
        total += np.int64(a[i]) * np.int64(b[i])
    return total


@compiled()
def lose(drive, residual, trace, scale, start, stop):  # type: ignore[no-untyped-def]
    """Anti-Hebbian loss: each neuron loses as much of the trace as cancels its response to the residual.

    drive (neurons, n) int32 Q10.20, neurons start..stop-1; scale Q.16: squared counts, see `divide_scale`.
    """
    for m in range(start, stop):
        response = dot(drive[m], residual) >> 20  # Q.16
        # cut before the shift: 2^38 << 24 still fits 64 bits
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
        # below 1.0, which `inhibited` relies on
        scaled[i] = max(min(value, (1 << 30) - 1), 1 - (1 << 30))


@compiled()
def reward(drive, mean, trace, counts, base, scale, uses):  # type: ignore[no-untyped-def]
    """Dopamine reward of the winner: its mean moves by residual / (1 + n), and its drive by P residual / (1 + n).

    drive Q10.20 and mean Q7.24 (n,) int32, changed in place; counts (n,) uint8; trace = P residual before P changed;
    base and scale Q.16 as in `divide_scale`: P residual = trace * base / scale after it. The mean is finer than the
    residual, so that it converges to a constant input when the drive does.
    """
    factor = (base << 32) // (scale * (uses + 1))
    for i in range(trace.shape[0]):
        drive[i] = saturate_drive(drive[i] + ((factor * trace[i] + (np.int64(1) << 31)) >> 32))
        gap = (np.int64(counts[i]) << 24) - mean[i]
        mean[i] += (2 * gap + uses + 1) // (2 * (uses + 1))


@compiled()
def common_of(mean, drive, uses, resting, common_mean, common_drive):  # type: ignore[no-untyped-def]
    """Set common_mean (n,) int64 Q.16 and common_drive (n,) int64 Q.20 to the means over used and resting neurons.

    Returns how many neurons are used.
    """
    used = 0
    common_mean[:] = 0
    common_drive[:] = 0
    for m in range(uses.shape[0]):
        if uses[m] > 0:
            used += 1
            means, drives_ = mean[m], drive[m]
            for i in range(common_mean.shape[0]):
                common_mean[i] += means[i] >> 8
                common_drive[i] += drives_[i]
    for i in range(common_mean.shape[0]):
        common_mean[i] //= used + resting
        common_drive[i] //= used + resting
    return used


@compiled()
def norm_of(mean, drive, common_mean, common_drive, noise, uses):  # type: ignore[no-untyped-def]
    """Return a neuron's norm, Q.16: the root of (mean - common mean) . (drive - common drive), less noise / uses."""
    square: Any = np.int64(0)
    for i in range(mean.shape[0]):
        square += ((mean[i] >> 8) - common_mean[i]) * (drive[i] - common_drive[i])
    square = max(square >> 20, 0)
    # << 16: the root of Q.32 is Q.16
    return isqrt(max(square - noise // uses, square * NORM_LEFT >> 3) << 16)


@compiled()
def scaled_weights(drive, correction, common_drive, common_mean, root, row):  # type: ignore[no-untyped-def]
    """Set row (n,) int16 to weights Q0.15 of a neuron whose norm is `root`; returns its tonic inhibition."""
    # one division for all inputs instead of one each
    reciprocal: Any = (1 << 40) // max(root, 64) if root > 0 else 0
    limit = root << 4  # a weight of 1.0: the norm, in the format of drives
    inhibition = np.int64(0)
    for i in range(drive.shape[0]):
        own = max(min(drive[i] - common_drive[i], limit), -limit)
        weight = ((own * reciprocal + (1 << 28)) >> 29) + ((correction[i] + (1 << 8)) >> 9)
        weight = max(min(weight, 32767), -32767)
        row[i] = weight
        inhibition += common_mean[i] * weight
    return inhibition >> 16


@compiled()
def refresh_decorrelated(  # type: ignore[no-untyped-def]
    mean, drive, correction, uses, resting, fraction, noise, weights, tonic, threshold, roots, common, rows
):
    """Recompute weights Q0.15, tonic inhibition and thresholds of all neurons from their means, drives and corrections.

    With m and V the mean of the neurons' means and drives, `resting` silent ones counted in, each neuron's weights are
    (drive - V) / norm + correction: shared inhibition subtracts the common part, and synaptic scaling gives every
    neuron the same norm. norm^2 = (mean - m) . (drive - V), less `noise` (Q.16) / uses, the expected contribution of
    chance; at least NORM_LEFT / 8 of it stays. tonic = m . weights. threshold = fraction (Q0.16) of the mean of the
    norms, which is the drive that a neuron receives from its own mean. Scratch: roots (neurons,) int64, common (2, n)
    int64, rows (CACHE_LINE, n) int16, so that weights are written a cache line at a time.
    """
    used = common_of(mean, drive, uses, resting, common[0], common[1])
    total = np.int64(0)
    for low in range(0, uses.shape[0], rows.shape[0]):
        high = min(low + rows.shape[0], uses.shape[0])
        for m in range(low, high):
            roots[m] = norm_of(mean[m], drive[m], common[0], common[1], noise, uses[m]) if uses[m] > 0 else 0
            total += roots[m]
            tonic[m] = scaled_weights(drive[m], correction[m], common[1], common[0], roots[m], rows[m - low])
        for i in range(weights.shape[0]):
            line = weights[i, low:high]
            for m in range(line.shape[0]):
                # weights lie input by input, for `count_sums`; a whole cache line of them is written at once
                line[m] = rows[m, i]
    # Q.16 times Q0.16 to Q0.15; at least 1, because a threshold of 0 would fire without any input
    threshold[:] = max((total // max(used, 1) * fraction) >> 17, 1)


@compiled()
def divide_scale(residual, trace, regularisation, uses):  # type: ignore[no-untyped-def]
    """Return (base, scale), Q.16 squared counts: regularisation * (1+n)/n, and that plus residual . trace."""
    base = (np.int64(regularisation) * (uses + 1) << 16) // uses
    return base, base + max(dot(residual, trace) >> 20, 0)


# Novelty; docs/colanet.md has the equations


@compiled()
def log2_of(value):  # type: ignore[no-untyped-def]
    """Return log2 of a positive value, Q.16, as Q.10, rounded down bit by bit."""
    whole = np.int64(0)
    while value >> (whole + 1) > 0:
        whole += 1
    mantissa = value >> (whole - 30) if whole > 30 else value << (30 - whole)  # Q.30 in 1..2
    found = whole - 16
    for _ in range(EXCITATION_BITS):
        # squaring doubles the logarithm: each time the next binary digit is its integer part
        mantissa = mantissa * mantissa >> 30
        found *= 2
        if mantissa >> 31 > 0:
            mantissa >>= 1
            found += 1
    return found


@compiled()
def cut(value, bits):  # type: ignore[no-untyped-def]
    """`value` limited to +-2^bits."""
    limit = np.int64(1) << bits
    return max(min(value, limit), -limit)


@compiled()
def least(values):  # type: ignore[no-untyped-def]
    """Return the least of values (n,) int64, n > 0; numba takes half a second to compile their `min()`."""
    found = values[0]
    for i in range(1, values.shape[0]):
        found = min(found, values[i])
    return found


@compiled()
def relative(drive, mean_norm):  # type: ignore[no-untyped-def]
    """Return a drive in the weights' format, Q.15, in mean norms (Q.16): Q.16, at most 64."""
    # << 17: Q.15 to Q.16 of the quotient, which has a Q.16 divisor
    return cut((np.int64(drive) << 17) // mean_norm, 22)


@compiled()
def choose_neighbours(drives_, roots, best, neurons):  # type: ignore[no-untyped-def]
    """Fill neurons (NEIGHBOURS,) int64 with the winner `best` and the most driven others; return how many there are.

    drives_ (columns,) int64 of the neurons (columns,) that stand for their columns. Only columns that have learnt are
    chosen (their root is above 0), the first one at a tie.
    """
    neurons[0] = best
    found = 1
    for column in range(drives_.shape[0]):
        if column == best or roots[column] == 0:
            continue
        place = found
        # an insertion into a short list: sorting all columns would take longer
        while place > 1 and drives_[neurons[place - 1]] < drives_[column]:
            place -= 1
        if place == NEIGHBOURS:
            continue
        found = min(found + 1, NEIGHBOURS)
        for later in range(found - 1, place, -1):
            neurons[later] = neurons[later - 1]
        neurons[place] = column
    return found


@compiled()
def shared_drive(mean, drive, common, root, other_root):  # type: ignore[no-untyped-def]
    """Return (mean - common mean) . (drive - common drive) of two neurons over both norms: Q.24, limited to +-4."""
    total = np.int64(0)
    for i in range(mean.shape[0]):
        total += ((mean[i] >> 8) - common[0, i]) * (drive[i] - common[1, i])
    share = cut((cut(total >> 20, 37) << 24) // max(root, 64), 46)
    return cut((share << 16) // max(other_root, 64), 26)


@compiled()
def shared_drives(mean, drive, common, roots, shared):  # type: ignore[no-untyped-def]
    """Set shared (neurons, neurons) int64 to `shared_drive` of each neuron's mean and each one's drive."""
    for own in range(roots.shape[0]):
        for other in range(roots.shape[0]):
            shared[own, other] = shared_drive(mean[own], drive[other], common, roots[own], roots[other])


@compiled()
def factorise(shared, n):  # type: ignore[no-untyped-def]
    """Replace the lower triangle of shared (NEIGHBOURS, NEIGHBOURS) int64 Q.24, with its ridge, by its Cholesky factor.

    Only the first n rows are used. A pivot is at least the ridge, an entry at most 4.
    """
    for j in range(n):
        pivot = shared[j, j] << 24
        for k in range(j):
            pivot -= shared[j, k] * shared[j, k]
        # the ridge as lower bound: rounding must not make a pivot negative
        shared[j, j] = isqrt(max(pivot, np.int64(RIDGE) << 24))
        for i in range(j + 1, n):
            value = shared[i, j] << 24
            for k in range(j):
                value -= shared[i, k] * shared[j, k]
            shared[i, j] = cut(value // shared[j, j], 26)


@compiled()
def squared_length(factor, drives_, n, solved):  # type: ignore[no-untyped-def]
    """Return the squared length, Q.16, of the point that the drives (n,) Q.16 are the projections of."""
    total = np.int64(0)
    for i in range(n):
        value = drives_[i] << 24
        for k in range(i):
            value -= factor[i, k] * solved[k]
        solved[i] = cut(value // factor[i, i], 29)
        total += solved[i] * solved[i]
    return total >> 16


@compiled()
def distances(chosen, drives_, roots, mean, drive, common, mean_norm):  # type: ignore[no-untyped-def]
    """Return the squared distances, Q.16, of an example: from the common mean, and from the mean of each neuron chosen.

    chosen (n,) int64 neurons, drives_ (n,) int64 of theirs, Q.16 in mean norms.
    """
    n = chosen.shape[0]
    shared, solved = np.empty((n, n), np.int64), np.empty(n, np.int64)
    gaps, found = np.empty((n, n), np.int64), np.empty(n + 1, np.int64)
    for i in range(n):
        for j in range(i + 1):
            own, other = chosen[i], chosen[j]
            shared[i, j] = shared_drive(mean[own], drive[other], common, roots[own], roots[other])
            shared[j, i] = shared[i, j]
    for k in range(n):
        for i in range(n):  # what the columns would be driven by, were the example the mean of this neuron
            gaps[k, i] = drives_[i] - cut((shared[i, k] * roots[chosen[k]] // mean_norm) >> 8, 22)
    for i in range(n):
        # after `gaps`, which need the drives without the ridge
        shared[i, i] = max(shared[i, i], 0) + RIDGE
    factorise(shared, n)
    found[0] = squared_length(shared, drives_, n, solved)
    for k in range(n):
        found[k + 1] = squared_length(shared, gaps[k], n, solved)
    return found


@compiled()
def background_excitation(counts, weights, tonic, mean_norm):  # type: ignore[no-untyped-def]
    """Return the highest drive of the background, Q.16 in mean norms; 0 where there is none.

    counts (n,) uint8; weights (r, n) int16 and tonic (r,) int64 of the background, Q0.15.
    """
    highest = np.int64(0)
    for r in range(tonic.shape[0]):
        row = weights[r]
        received = np.int64(0)
        for i in range(row.shape[0]):
            received += np.int64(row[i]) * np.int64(counts[i])
        found = relative(received - tonic[r], mean_norm)
        highest = found if r == 0 else max(highest, found)
    return highest


@compiled()
def least_kinship(learnt):  # type: ignore[no-untyped-def]
    """Return the kinship, Q.16, that an example of a class of so many examples has at least."""
    return LEAST_KINSHIP - FIRST_KINSHIP // np.int64(learnt)


@compiled()
def least_cosine(learnt):  # type: ignore[no-untyped-def]
    """Return the cosine, Q.16, of an example and the mean of its class, of so many examples, that is expected.

    A mean of few examples is longer than what it stands for, so its cosines are lower: that is allowed for.
    """
    learnt = np.int64(learnt)
    return (np.int64(LIKENESS) << 26) // isqrt(((LIKENESS * learnt + 64 - LIKENESS) << 32) // (64 * learnt))


@compiled()
def missing_kinship(counts, axis, middle, learnt):  # type: ignore[no-untyped-def]
    """Return how much kinship, Q.16, counts (n,) uint8 lack with what was taught; 0 without a background.

    Kinship is 1/2 at the mean of all taught classes, -1/2 at that of the background: axis and middle are its own.
    """
    if middle[1] == 0:
        return np.int64(0)
    along = np.int64(0)
    for i in range(axis.shape[0]):
        along += axis[i] * np.int64(counts[i])
    kinship = cut((((along >> 4) - middle[0]) << 16) // middle[1], 22)
    return max(least_kinship(learnt) - kinship, 0)


@compiled()
def products(counts, mean):  # type: ignore[no-untyped-def]
    """Return the products of counts (n,) uint8 and a mean (n,) int32 Q7.24: x.x, m.m Q.32 and x.m Q.16."""
    own, other, both = np.int64(0), np.int64(0), np.int64(0)
    for i in range(mean.shape[0]):
        count, expected = np.int64(counts[i]), np.int64(mean[i] >> 8)
        own += count * count
        other += expected * expected
        both += count * expected
    return own, other, both


@compiled()
def missing_likeness(counts, mean, learnt):  # type: ignore[no-untyped-def]
    """Return by how much the cosine of counts (n,) uint8 and a mean (n,) int32 Q7.24 is too low, Q.16."""
    own, other, both = products(counts, mean)
    lengths = (isqrt(own << 32) * isqrt(other)) >> 16
    return max(least_cosine(learnt) - (both << 16) // max(lengths, 1), 0)


@compiled()
def contrast(counts, mean):  # type: ignore[no-untyped-def]
    """Return the log2 of the squared length of counts (n,) uint8 over that of a mean (n,) int32 Q7.24: Q.10.

    Squared distances grow with it. A length below one spike counts as one.
    """
    own, other, _ = products(counts, mean)
    return log2_of(max(own, 1) << 16) - log2_of(max(other >> 16, np.int64(1) << 16))


@compiled()
def share_of(learnt, used, examples):  # type: ignore[no-untyped-def]
    """Return half the log2 of a class's examples over the mean number, within +-1/2: Q.10.

    `used` classes have learnt `examples` together. P is fitted most to the classes with many examples: squared
    distances to them shrink with the root of their number, those of strangers too.
    """
    share = (np.int64(learnt) * used << 16) // max(examples, 1)
    return log2_of(max(min(share, np.int64(1) << 17), np.int64(1) << 15)) >> 1


@compiled()
def bar_of(counts, mean, learnt, beside, axis, middle):  # type: ignore[no-untyped-def]
    """Return the drive, Q.16 in mean norms, below which an example of the class with this mean is new.

    learnt: its examples. beside: highest drive of the background, whose axis and middle follow.
    """
    bar = max(LEAST_DRIVE, beside + BACKGROUND_LEAD)
    bar -= bar // (4 * learnt * learnt)
    bar += 2 * missing_kinship(counts, axis, middle, learnt)
    return bar + 6 * missing_likeness(counts, mean, learnt)


@compiled()
def appraise(  # type: ignore[no-untyped-def]
    counts, spikes, potential, winner, best, mean, drive, uses, threshold, roots, common, weights, tonic, axis, middle
):
    """Return (novelty, separation, learnt) of a presentation: `Columns.appraise`.

    counts (n,) uint8; spikes, potential, winner: `ColumnActivity`; best: the winning column. uses (neurons,) int32.
    roots (neurons,) int64 Q.16: the norms. common (2, n) int64: `common_of`. weights, tonic, axis, middle: the
    `Background`, as arrays one by one: numba keeps Python objects for the fields of a tuple.
    """
    used: Any = np.int64(0)
    total: Any = np.int64(0)
    examples: Any = np.int64(0)
    for m in range(roots.shape[0]):
        used += uses[m] > 0
        total += roots[m]
        examples += uses[m]
    mean_norm: Any = max(total // max(used, 1), LEAST_NORM)
    columns = spikes.shape[0]
    neurons, own_roots, drives_ = np.empty(columns, np.int64), np.empty(columns, np.int64), np.empty(columns, np.int64)
    for column in range(columns):
        neuron = column * (threshold.shape[0] // columns) + winner[column, 0]
        neurons[column], own_roots[column] = neuron, roots[neuron]
        drives_[column] = np.int64(spikes[column, 0]) * threshold[neuron] + potential[column, 0]
    near = np.empty(NEIGHBOURS, np.int64)
    near = near[: choose_neighbours(drives_, own_roots, best, near)]
    near_drives = np.empty(near.shape[0], np.int64)
    for i in range(near.shape[0]):
        near_drives[i] = relative(drives_[near[i]], mean_norm)
    found = distances(neurons[near], near_drives, roots, mean, drive, common, mean_norm)
    to_class = log2_of(OWN_SPREAD + found[1])
    learnt: Any = max(np.int64(uses[neurons[best]]), 1)
    beyond = contrast(counts, mean[neurons[best]]) - share_of(learnt, used, examples)
    familiarity = (log2_of(OWN_SPREAD + found[0]) >> 1) - to_class + beyond
    beside: Any = background_excitation(counts, weights, tonic, mean_norm)
    bar: Any = bar_of(counts, mean[neurons[best]], learnt, beside, axis, middle)
    short = min(near_drives[0] - bar, 0)  # a drive above the bar says nothing more about novelty
    lead = max(near_drives[0] - max(near_drives[1], 0), 0) if near.shape[0] > 1 else near_drives[0]
    # np.int64, so that numba finds one type for both branches
    separation = log2_of(OWN_SPREAD + least(found[2:])) - to_class if near.shape[0] > 1 else np.int64(0)
    return -(familiarity + (lead >> 6) - (beside >> 6) + (short >> 1)), separation, np.int64(uses[neurons[best]])


@compiled()
def refresh_background(background, common):  # type: ignore[no-untyped-def]
    """Recompute the background's weights and tonic inhibition as `refresh_decorrelated` does, without noise."""
    for r in range(background.tonic.shape[0]):
        mean, drive = background.mean[r], background.drive[r]
        root = norm_of(mean, drive, common[0], common[1], 0, 1)
        background.tonic[r] = scaled_weights(
            drive, background.no_correction, common[1], common[0], root, background.weights[r]
        )


@compiled()
def refresh_kinship(background, common, uses, resting):  # type: ignore[no-untyped-def]
    """Recompute the background's axis and middle, with common (2, n) and resting as in `common_of`."""
    used, columns = np.int64(0), background.tonic.shape[0]
    for m in range(uses.shape[0]):
        used += uses[m] > 0
    background.axis[:] = 0
    background.middle[:] = 0
    if used == 0 or columns == 0:
        return
    for r in range(columns):
        row = background.drive[r]
        for i in range(row.shape[0]):
            background.axis[i] += row[i]
    middle, length = np.int64(0), np.int64(0)
    for i in range(background.axis.shape[0]):
        own, other = common[0, i] * (used + resting) // used, background.centre[i]
        along = cut(common[1, i] * (used + resting) // used - background.axis[i] // columns, 30)
        background.axis[i] = along
        middle += ((own + other) >> 1) * along
        length += (own - other) * along
    background.middle[0] = middle >> 20
    background.middle[1] = max(length >> 20, 64)
