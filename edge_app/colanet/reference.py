"""The specification of the classifier: plain Python integers, spike by spike and step by step.

Only the tests import it: they hold the kernels equal to it, to the bit. It stays beside the kernels because it is the
place to read what they compute, and to change first. It shares no arithmetic with `fixedpoint` and `kernels`, and none
of their short cuts: every input spikes at steps of its own, and a weight is read at every spike. Qm.n is a
value times 2^n; >> and // round towards minus infinity. docs/colanet.md explains the equations.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS, Decorrelated, Params, Published
from edge_app.errors import InputError, UnknownLabel

STEPS = INPUT_STEPS + SILENT_STEPS
Matrix = list[list[int]]


class ReferenceDecision(NamedTuple):
    """A decision: the label or None, and the OUT spikes of each class, in the order they were added."""

    label: str | None
    spikes: list[int]
    first_spike: list[int]
    margin: int
    excitation: list[int]
    """In 1/1024 of a threshold: OUT spikes plus the remaining potential of the winners."""
    novelty: int = 0
    """In 1/1024 octave, like the separation."""
    separation: int = 0
    learnt: int = 0


@dataclass
class Neuron:
    """An L neuron. Each rule uses the fields below its name."""

    weights: list[int]
    """Published: Q3.12; decorrelated: Q0.15."""
    threshold: int = 0
    """As the weights, like the potential and the tonic inhibition."""
    tonic: int = 0
    # published
    resource: list[int] = field(default_factory=list)
    """Q15.16, one a synapse."""
    stability: int = 0
    """Q15.16."""
    outstanding: int = 0
    """Q.16: resource gained and not yet taken from all synapses alike."""
    # decorrelated
    mean: list[int] = field(default_factory=list)
    """Q7.24, spike counts."""
    drive: list[int] = field(default_factory=list)
    """Q10.20."""
    correction: list[int] = field(default_factory=list)
    """Q7.24, as weights."""
    uses: int = 0
    norm: int = 0
    """Q.16: as far as its mean lies from the common mean, in the metric P; 0 as long as it has learnt nothing."""


@dataclass
class Column:
    """The neurons of one class: `members[e][k]` is L neuron k of member e; `key` names its random stream."""

    label: str
    key: int
    members: list[list[Neuron]]


class MemberResponse(NamedTuple):
    """Response of the neurons of one member of a column to a presentation."""

    spikes: int
    first: int
    """Step of the first spike, STEPS for none."""
    last: int
    """Step of the winner's last spike, -1 for none."""
    winner: int
    """The neuron that fired first; the one with the highest potential if none fired."""
    excess: int
    """The winner's potential above threshold at the first spike."""
    potential: int
    """The winner's potential at the end."""


def fixed(value: float, bits: int) -> int:
    """Return the integer nearest to value * 2^bits, the upper one at a tie."""
    return math.floor(value * (1 << bits) + 0.5)


def clip(value: int, limit: int) -> int:
    """Return the value nearest to `value` in -limit .. limit."""
    return min(max(value, -limit), limit)


def spikes_at(count: int, step: int) -> bool:
    """Whether an input that spikes `count` times in T steps does so at this one."""
    return step < INPUT_STEPS and (step + 1) * count // INPUT_STEPS > step * count // INPUT_STEPS


def two_to_minus(stability: int) -> int:
    """Return 2^-s in Q0.16, to nearest, s rounded to 1/64; 0 from s = 17 on."""
    sixty_fourths = (stability * 64 + 2**15) // 2**16
    if sixty_fourths >= 17 * 64:
        return 0
    # an exact integer root: the specification shares no table with `fixedpoint`
    root = 1 << 17 * 64 - sixty_fourths
    for _ in range(6):  # the 64th root: 2^(17 - s), Q.17 of the result
        root = math.isqrt(root)
    return (root + 1) // 2


def mix(value: int) -> int:
    """SplitMix64's finaliser of 64 bits."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def stream_key(label: str) -> int:
    """Return the upper 63 of the first 64 bits of the label's SHA-256, little-endian."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little") // 2


def input_at(neuron: Neuron, counts: Sequence[int], step: int) -> int:
    """Return the weights of the inputs that spike at a step, less the tonic inhibition of that step."""
    if step >= INPUT_STEPS:
        return 0
    weights = sum(weight for weight, count in zip(neuron.weights, counts, strict=True) if spikes_at(count, step))
    return weights - ((step + 1) * neuron.tonic // INPUT_STEPS - step * neuron.tonic // INPUT_STEPS)


def run_presentation(
    neurons: Sequence[Neuron],
    counts: Sequence[int],
    *,
    leak: int,
    floor: int | None,
    soft_reset: bool,
    noise: Callable[[int, int], int],
) -> MemberResponse:
    """Show one presentation to the neurons of one member; `noise(k, step)` is what neuron k receives by chance."""
    potential = [0] * len(neurons)
    silenced_until = [0] * len(neurons)
    fired: list[tuple[int, int]] = []  # (step, neuron)
    excess = 0
    for step in range(STEPS):
        for k, neuron in enumerate(neurons):
            u = potential[k] - (potential[k] * leak >> 16) + input_at(neuron, counts, step)
            if step < INPUT_STEPS:
                u += noise(k, step)
            potential[k] = u if floor is None else max(u, floor)
        above = {k: potential[k] - neuron.threshold for k, neuron in enumerate(neurons) if step >= silenced_until[k]}
        winner = max(above, key=above.__getitem__, default=None)  # the first of several that are equally far above
        if winner is None or above[winner] < 0:
            continue
        if not fired:
            excess = above[winner]
        fired.append((step, winner))
        potential[winner] = above[winner] if soft_reset else 0
        for k in range(len(neurons)):
            if k != winner:
                silenced_until[k] = step + 1 + INPUT_STEPS
    if not fired:
        best = max(range(len(neurons)), key=potential.__getitem__)
        return MemberResponse(0, STEPS, -1, best, 0, potential[best])
    first, best = fired[0]
    last = max(step for step, k in fired if k == best)
    return MemberResponse(len(fired), first, last, best, excess, potential[best])


class PublishedReference:
    """The published rule; `published.py` states it. Integer equations stand with each step below."""

    def __init__(self, params: Params, rule: Published, n_inputs: int) -> None:
        self.params, self.rule, self.n_inputs = params, rule, n_inputs
        self.w_min = fixed(rule.w_min, 16)
        self.w_range = fixed(rule.w_max, 16) - self.w_min
        self.noise_bound = fixed(rule.sigma, 12)

    def new_neuron(self) -> Neuron:
        """W0 = -w_min (w_max - w_min) / w_max: the weight is 0."""
        at_rest = -self.w_min * self.w_range // (self.w_range + self.w_min)
        neuron = Neuron([0] * self.n_inputs, resource=[at_rest] * self.n_inputs)
        self.refresh(neuron)
        return neuron

    def refresh(self, neuron: Neuron) -> None:
        """w = w_min + (w_max - w_min) W+ / ((w_max - w_min) + W+), theta = H + eta (sum of the positive weights)."""
        neuron.weights = []
        for resource in neuron.resource:
            positive = max(resource, 0)
            weight = self.w_min + self.w_range * positive // (self.w_range + positive)  # Q.16
            neuron.weights.append((weight + 8) // 16)
        excess = sum(max(weight, 0) for weight in neuron.weights) * fixed(self.rule.excess, 16) // 2**16
        neuron.threshold = min(fixed(self.rule.threshold, 12) + excess, 2**31 - 1)

    def trial(self, column: Column, member: int, counts: Sequence[int], presentation: int | None) -> MemberResponse:
        """Show a presentation to one member; `presentation` is None for a decision, which has no noise."""
        neurons = column.members[member]

        def noise(k: int, step: int) -> int:
            if presentation is None:
                return 0
            state = mix(column.key ^ mix(self.params.seed << 32 | (member * len(neurons) + k)))
            return (mix(state ^ mix(presentation << 5 | step)) >> 32) * self.noise_bound >> 32

        leak = fixed(1 / self.rule.tau, 16)
        return run_presentation(neurons, counts, leak=leak, floor=0, soft_reset=False, noise=noise)

    def learn(self, columns: Sequence[Column], counts: Sequence[int], target: int, presentation: int) -> None:
        for index, column in enumerate(columns):
            for member in range(len(column.members)):
                trial = self.trial(column, member, counts, presentation)
                if trial.spikes or index == target:
                    winner = column.members[member][trial.winner]
                    self.change(winner, trial, counts, is_target=index == target)

    def change(self, neuron: Neuron, trial: MemberResponse, counts: Sequence[int], *, is_target: bool) -> None:
        """Loss, then reward, or the gate's forced spike; then renormalisation."""
        rule = self.rule
        loss, reward = fixed(rule.loss, 16), fixed(rule.reward, 16)
        dopamine = rule.stability_rate * rule.reward
        gain = 0
        if trial.spikes:
            gain += (loss * two_to_minus(neuron.stability) + 2**15) >> 16
            neuron.stability = max(neuron.stability + fixed(rule.stability_rate * rule.loss, 16), 0)
            window = range(max(trial.first - int(3 * rule.tau), 0), trial.last + 1)
        else:
            window = range(INPUT_STEPS)
        if is_target:
            gain += (reward * two_to_minus(neuron.stability) + 2**15) >> 16
            if trial.spikes:
                late = abs(rule.t_dopamine - trial.first - rule.isi_max) / rule.isi_max
                neuron.stability += fixed(dopamine * max(2 - late, -1), 16)
            else:
                neuron.stability -= fixed(dopamine, 16)
        neuron.stability = min(max(neuron.stability, 0), 2**31 - 1)
        for i, count in enumerate(counts):
            if any(spikes_at(count, step) for step in window):
                before = neuron.resource[i]
                neuron.resource[i] = clip(before + gain, 2**31 - 1)
                neuron.outstanding += neuron.resource[i] - before
        self.renormalise(neuron)
        self.refresh(neuron)

    def renormalise(self, neuron: Neuron) -> None:
        """Once 1.0 is outstanding, every synapse, and every imaginary one, gives or takes the same whole amount."""
        if abs(neuron.outstanding) < 2**16:
            return
        shares = self.n_inputs + self.rule.n_silent
        share = abs(neuron.outstanding) // shares
        # // rounds towards minus infinity: the sign is put back afterwards
        if neuron.outstanding < 0:
            share = -share
        neuron.resource = [clip(resource - share, 2**31 - 1) for resource in neuron.resource]
        neuron.outstanding -= share * shares

    def refresh_all(self, columns: Sequence[Column]) -> None:
        """Do nothing: a column does not depend on the others."""

    def appraise(self, columns: Sequence[Column], counts: Sequence[int], best: int) -> tuple[int, int, int]:
        """Return zeros: the rule has no metric to tell anything in."""
        return 0, 0, 0

    def rank(self, trials: Sequence[MemberResponse]) -> tuple[int, ...]:
        """OUT spikes; the earliest spike; the excess at it."""
        return (
            sum(trial.spikes for trial in trials),
            -min(trial.first for trial in trials),
            sum(trial.excess for trial in trials),
        )


class DecorrelatedReference:
    """The decorrelated rule; `decorrelated.py` states it. Integer equations stand with each step below."""

    def __init__(
        self, params: Params, rule: Decorrelated, n_inputs: int, background: Sequence[Sequence[int]] = ()
    ) -> None:
        self.params, self.rule, self.n_inputs = params, rule, n_inputs
        self.axis, self.middle, self.length = [0] * n_inputs, 0, 0
        self.background = [
            Neuron([0] * n_inputs, mean=[c << 24 for c in row], drive=[c << 20 for c in row], uses=1)
            for row in background
        ]
        one = 2**30
        self.noise, self.averaged = 0, 0
        self.common_mean = [0] * n_inputs  # Q.16
        self.decorrelation: Matrix = [[one if i == j else 0 for j in range(n_inputs)] for i in range(n_inputs)]

    def new_neuron(self) -> Neuron:
        nothing = [0] * self.n_inputs
        return Neuron(nothing, mean=list(nothing), drive=list(nothing), correction=list(nothing))

    def trial(self, column: Column, member: int, counts: Sequence[int], presentation: int | None) -> MemberResponse:
        """Show a presentation to one member. No leak, no floor, no noise; a spike takes the threshold off."""
        neurons = column.members[member]
        return run_presentation(neurons, counts, leak=0, floor=None, soft_reset=True, noise=lambda k, step: 0)

    def learn(self, columns: Sequence[Column], counts: Sequence[int], target: int, presentation: int) -> None:
        winner = self.winner(columns[target], counts)
        n = winner.uses
        if n > 0:
            self.correct(columns, counts, target, fixed(self.rule.correction, 16))
        else:
            self.set_apart(columns, counts)
        residual = [((count << 24) - mean + 128) >> 8 for count, mean in zip(counts, winner.mean, strict=True)]  # Q.16
        trace = self.trace(residual)
        base, scale = 1, 1
        if n > 0:
            base = (fixed(self.rule.regularisation, 0) * (n + 1) << 16) // n  # Q.16
            scale = base + max(dot(residual, trace) >> 20, 0)
            self.cancel(columns, residual, trace, scale)
            self.averaged = min(self.averaged + 1, 64)
            self.noise += ((scale - base) * n // (n + 1) - self.noise) // self.averaged  # Q.16
        gain = (base << 32) // (scale * (n + 1))  # Q.32
        winner.drive = [clip(v + (gain * z + 2**31 >> 32), 2**30) for v, z in zip(winner.drive, trace, strict=True)]
        for i, count in enumerate(counts):
            step = 2 * ((count << 24) - winner.mean[i])
            winner.mean[i] += (step + n + 1) // (2 * (n + 1))
        winner.uses = min(n + 1, self.rule.stability_max)
        self.refresh_all(columns)

    def vary(self, columns: Sequence[Column], counts: Sequence[int], target: int) -> None:
        """A variation weighs w = 1/4: scatter + w n/(w+n) r r', mean + w/(w+n) r; n stays."""
        winner = self.winner(columns[target], counts)
        n = 4 * winner.uses
        if n == 0:
            return
        residual = [((count << 24) - mean + 128) >> 8 for count, mean in zip(counts, winner.mean, strict=True)]  # Q.16
        trace = self.trace(residual)
        base = (4 * fixed(self.rule.regularisation, 0) * (n + 1) << 16) // n  # Q.16
        scale = base + max(dot(residual, trace) >> 20, 0)
        self.cancel(columns, residual, trace, scale)
        gain = ((base >> 2) << 32) // ((scale >> 2) * (n + 1))  # Q.32
        winner.drive = [clip(v + (gain * z + 2**31 >> 32), 2**30) for v, z in zip(winner.drive, trace, strict=True)]
        for i, count in enumerate(counts):
            step = 2 * ((count << 24) - winner.mean[i])
            winner.mean[i] += (step + n + 1) // (2 * (n + 1))
        self.refresh_all(columns)

    def winner(self, column: Column, counts: Sequence[int]) -> Neuron:
        """The neuron that fired; else one that was never used; else the one with the highest potential."""
        neurons = column.members[0]
        trial = self.trial(column, 0, counts, None)
        fresh = [neuron for neuron in neurons if neuron.uses == 0]
        return fresh[0] if fresh and not trial.spikes else neurons[trial.winner]

    def rehearse(self, columns: Sequence[Column], counts: Sequence[int], target: int) -> None:
        """An example that was learnt corrects once more, four times as strongly."""
        if self.winner(columns[target], counts).uses:
            self.correct(columns, counts, target, 4 * fixed(self.rule.correction, 16))
            self.refresh_all(columns)

    def correct(self, columns: Sequence[Column], counts: Sequence[int], target: int, rate: int) -> None:
        """U_k <- U_k - rate e_k 64/(64+n_k) x/|x|^2 for winners; e_k = 2^(6 drive) in parts of all, less the target."""
        trials = [self.trial(column, 0, counts, None) for column in columns]
        winners = [column.members[0][trial.winner] for column, trial in zip(columns, trials, strict=True)]
        drives = [
            trial.spikes * neuron.threshold + trial.potential for trial, neuron in zip(trials, winners, strict=True)
        ]
        used = [bool(neuron.uses) for neuron in winners]
        highest = max(drive for drive, use in zip(drives, used, strict=True) if use)
        expected = [two_to_minus((highest - drive) * 12) if use else 0 for drive, use in zip(drives, used, strict=True)]
        deviation = [(count << 16) - common for count, common in zip(counts, self.common_mean, strict=True)]  # Q.16
        energy = max(dot(deviation, deviation) >> 16, 2**16)  # Q.16
        for index, neuron in enumerate(winners):
            error = (expected[index] << 16) // sum(expected) - (2**16 if index == target else 0)  # Q.16
            if len(columns) > 1 and abs(error) >= 64:
                step = -error * rate * 64 // (64 + neuron.uses)  # Q.32
                gain = (step << 24) // energy  # Q.40
                neuron.correction = [
                    clip(u + (gain * x + 2**31 >> 32), 2**30) for u, x in zip(neuron.correction, deviation, strict=True)
                ]

    def set_apart(self, columns: Sequence[Column], counts: Sequence[int]) -> None:
        """A first example: V and P as at a loss, r = x - mean of k neurons, d = L/novelty (1+k)/k + r.z."""
        used = [neuron for column in columns for neuron in column.members[0] if neuron.uses]
        k = len(used)
        if not k or not self.rule.novelty:
            return
        mean = [common * (k + self.rule.resting_classes) // k for common in self.common_mean]
        residual = [(count << 16) - m for count, m in zip(counts, mean, strict=True)]  # Q.16
        trace = self.trace(residual)
        base = (fixed(self.rule.regularisation / self.rule.novelty, 0) * (k + 1) << 16) // k  # Q.16
        self.cancel(columns, residual, trace, base + max(dot(residual, trace) >> 20, 0))

    def trace(self, residual: Sequence[int]) -> list[int]:
        """P r, Q10.20."""
        return [clip((dot(row, residual) + 2**25) >> 26, 2**30) for row in self.decorrelation]

    def cancel(self, columns: Sequence[Column], residual: Sequence[int], trace: Sequence[int], scale: int) -> None:
        """Loss of all neurons, and inhibition between the inputs."""
        for column in columns:
            for neuron in column.members[0]:
                self.lose(neuron, residual, trace, scale)
        for neuron in self.background:
            self.lose(neuron, residual, trace, scale)
        self.inhibit(trace, scale)

    def lose(self, neuron: Neuron, residual: Sequence[int], trace: Sequence[int], scale: int) -> None:
        """V <- V - (V.r / d) z."""
        response = clip(dot(neuron.drive, residual) >> 20, 2**38)  # Q.16
        factor = clip((response << 24) // scale, 2**32)  # Q.24
        neuron.drive = [clip(v - ((factor * z + 2**23) >> 24), 2**30) for v, z in zip(neuron.drive, trace, strict=True)]

    def inhibit(self, trace: Sequence[int], scale: int) -> None:
        """P <- P - s s', s = z / sqrt(d)."""
        root = math.isqrt((2**62 // scale) << 16)  # 1 / sqrt(d), Q.31
        scaled = [clip((z * root + 2**20) >> 21, 2**30 - 1) for z in trace]  # Q0.30
        for row, own in zip(self.decorrelation, scaled, strict=True):
            row[:] = [clip(p - ((own * other + 2**29) >> 30), 2**30) for p, other in zip(row, scaled, strict=True)]

    def refresh_all(self, columns: Sequence[Column]) -> None:
        """Weights (V - mean V) / norm + U; tonic = mean m . weights; threshold = fraction * mean norm."""
        neurons = [neuron for column in columns for neuron in column.members[0]]
        used = [neuron for neuron in neurons if neuron.uses]
        share = len(used) + self.rule.resting_classes
        common_mean = [sum(neuron.mean[i] >> 8 for neuron in used) // share for i in range(self.n_inputs)]  # Q.16
        self.common_mean = common_mean
        common_drive = [sum(neuron.drive[i] for neuron in used) // share for i in range(self.n_inputs)]
        self.common_drive = common_drive
        self.mean_norm = 0
        for neuron in neurons:
            neuron.norm = self.norm(neuron, self.noise) if neuron.uses else 0
            self.mean_norm += neuron.norm
            self.scale(neuron)
        self.mean_norm //= max(len(used), 1)
        threshold = (self.mean_norm * fixed(self.rule.threshold, 16)) >> 17
        for neuron in neurons:
            neuron.threshold = max(threshold, 1)
        for neuron in self.background:
            neuron.norm = self.norm(neuron, 0)
            self.scale(neuron)
        self.tell_apart(used)

    def tell_apart(self, used: Sequence[Neuron]) -> None:
        """The axis from the mean of the background to that of the used neurons, the point between, their distance."""
        self.length = 0
        if not used or not self.background:
            return
        share = len(used) + self.rule.resting_classes
        own = [common * share // len(used) for common in self.common_mean]  # Q.16
        other = [(sum(b.mean[i] for b in self.background) >> 8) // len(self.background) for i in range(self.n_inputs)]
        drive = [sum(b.drive[i] for b in self.background) // len(self.background) for i in range(self.n_inputs)]
        self.axis = [
            clip(common * share // len(used) - b, 2**30) for common, b in zip(self.common_drive, drive, strict=True)
        ]  # Q.20
        self.middle = dot([(a + b) >> 1 for a, b in zip(own, other, strict=True)], self.axis) >> 20
        self.length = max(dot([a - b for a, b in zip(own, other, strict=True)], self.axis) >> 20, 64)

    def scale(self, neuron: Neuron) -> None:
        """Weights (V - mean V) / norm + U; tonic = mean m . weights."""
        norm = neuron.norm
        inverse = 2**40 // max(norm, 64) if norm else 0
        corrections = neuron.correction or [0] * self.n_inputs
        neuron.weights = [
            clip(((clip(v - common, norm << 4) * inverse + 2**28) >> 29) + (u + 2**8 >> 9), 32767)
            for v, common, u in zip(neuron.drive, self.common_drive, corrections, strict=True)
        ]
        neuron.tonic = dot(self.common_mean, neuron.weights) >> 16

    def norm(self, neuron: Neuron, noise: int) -> int:
        """The norm, Q.16, without what the noise of its examples puts into its square; 3/8 of that stay."""
        square = max(self.product(neuron, neuron), 0)
        share = (noise * fixed(self.rule.noise, 16) >> 16) // neuron.uses
        return math.isqrt(max(square - share, square * 3 >> 3) << 16)

    def product(self, mean_of: Neuron, drive_of: Neuron) -> int:
        """(m - mean m) . (V - mean V), Q.16, of two neurons."""
        own_mean = [(m >> 8) - common for m, common in zip(mean_of.mean, self.common_mean, strict=True)]
        own_drive = [v - common for v, common in zip(drive_of.drive, self.common_drive, strict=True)]
        return dot(own_mean, own_drive) >> 20

    def appraise(self, columns: Sequence[Column], counts: Sequence[int], best: int) -> tuple[int, int, int]:
        """Return novelty and separation, 1/1024 octave, and how often the winner was used.

        novelty     log2(a + d_w) - log2(a + |y|^2) / 2 - log2(|x|^2 / |m_w|^2) + log2(n / mean n) / 2, within +-1/2
                    - (drive - that of the next column) + drive of the background + 32 max(0, bar - drive)
        separation  log2(a + least d_k of the others) - log2(a + d_w)

        y is the point whose projections on the 8 most driven columns are their drives u (L L' = their drives of one
        another, y = L^-1 u); d_k = |y - y_k|^2, y_k the same for the mean of class k. In mean norms; a = 1/32.
        """
        unit = max(self.mean_norm, 64)
        trials = [self.trial(column, 0, counts, None) for column in columns]
        winners = [column.members[0][trial.winner] for column, trial in zip(columns, trials, strict=True)]
        drives = [
            trial.spikes * neuron.threshold + trial.potential for trial, neuron in zip(trials, winners, strict=True)
        ]
        others = [i for i, neuron in enumerate(winners) if i != best and neuron.norm]
        chosen = [best, *sorted(others, key=lambda i: -drives[i])[:7]]
        near = [winners[i] for i in chosen]
        drive = [clip((drives[i] << 17) // unit, 2**22) for i in chosen]  # Q.16
        shared = [[self.shared_drive(a, b) for b in near[: i + 1]] for i, a in enumerate(near)]  # Q.24
        gaps = []
        for k, neuron in enumerate(near):
            by_class = [shared[max(i, k)][min(i, k)] for i in range(len(near))]
            gaps.append([u - clip(g * neuron.norm // unit >> 8, 2**22) for u, g in zip(drive, by_class, strict=True)])
        for i, row in enumerate(shared):
            row[i] = max(row[i], 0) + 2**17
        factor = cholesky(shared)
        distance, *rest = (squared_length(factor, gap) for gap in gaps)
        familiarity = (log2(2**11 + squared_length(factor, drive)) >> 1) - log2(2**11 + distance)
        familiarity += self.contrast(near[0], counts) - self.share(columns, near[0])
        lead = max(drive[0] - max(drive[1], 0), 0) if len(drive) > 1 else drive[0]
        beside = max((self.background_drive(neuron, counts) for neuron in self.background), default=0)
        short = min(drive[0] - self.bar(counts, near[0], beside), 0)
        novelty = -(familiarity + (lead >> 6) - (beside >> 6) + (short >> 1))
        return novelty, log2(2**11 + min(rest, default=distance)) - log2(2**11 + distance), near[0].uses

    def share(self, columns: Sequence[Column], winner: Neuron) -> int:
        """Half the log2, Q.10, of the neuron's examples over the mean number, within +-1/2."""
        used = [neuron.uses for column in columns for neuron in column.members[0] if neuron.uses]
        share = (max(winner.uses, 1) * len(used) << 16) // max(sum(used), 1)
        return log2(max(min(share, 2**17), 2**15)) >> 1

    def contrast(self, winner: Neuron, counts: Sequence[int]) -> int:
        """log2(|x|^2 / |m|^2), Q.10; a length below one spike counts as one."""
        mean = [m >> 8 for m in winner.mean]
        return log2(max(dot(counts, counts), 1) << 16) - log2(max(dot(mean, mean) >> 16, 2**16))

    def background_drive(self, neuron: Neuron, counts: Sequence[int]) -> int:
        """The drive of a column of the background, Q.16 in mean norms."""
        received = dot(neuron.weights, counts) - neuron.tonic
        return clip((received << 17) // max(self.mean_norm, 64), 2**22)

    def bar(self, counts: Sequence[int], winner: Neuron, beside: int) -> int:
        """The drive, Q.16 in mean norms, that an example of the winner's class has at least.

        max(7/16, 3/16 + drive of the background) (1 - 1 / 4 n^2)
        + 2 max(0, 3/8 - 5/4 / n - kinship)           1/2 at the mean of all taught, -1/2 at that of the background
        + 6 max(0, k / sqrt(k + (1 - k) / n) - cos)   cosine of the counts and the mean of the class, k = 27/64
        """
        n = max(winner.uses, 1)
        bar = max(7 * 2**12, beside + 3 * 2**12)
        bar -= bar // (4 * n * n)
        if self.length:
            kinship = clip((((dot(self.axis, counts) >> 4) - self.middle) << 16) // self.length, 2**22)
            bar += 2 * max(6 * 2**12 - 5 * 2**14 // n - kinship, 0)
        mean = [m >> 8 for m in winner.mean]
        lengths = math.isqrt(dot(counts, counts) << 32) * math.isqrt(dot(mean, mean)) >> 16
        least = 27 * 2**26 // math.isqrt(((27 * n + 37) << 32) // (64 * n))
        return bar + 6 * max(least - (dot(counts, mean) << 16) // max(lengths, 1), 0)

    def shared_drive(self, a: Neuron, b: Neuron) -> int:
        """The product of two neurons over both norms, Q.24, limited to +-4."""
        share = clip((clip(self.product(a, b), 2**37) << 24) // max(a.norm, 64), 2**46)
        return clip((share << 16) // max(b.norm, 64), 2**26)

    def rank(self, trials: Sequence[MemberResponse]) -> tuple[int, ...]:
        """OUT spikes; the potential that is left over."""
        return trials[0].spikes, trials[0].potential


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    """Sum of products."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def log2(value: int) -> int:
    """Log2 of a value in Q.16, as Q.10: its whole part, then a bit for each squaring of what is left, in Q.30."""
    whole = value.bit_length() - 1
    left, found = value * 2**30 >> whole, whole - 16
    for _ in range(10):
        left = left * left >> 30
        found = 2 * found + (left >= 2**31)
        left = left // 2 if left >= 2**31 else left
    return found


def cholesky(lower: Matrix) -> Matrix:
    """The L of L L', Q.24, of the lower triangle of a matrix, Q.24; pivots at least 2^-7, entries at most 4."""
    factor: Matrix = [[] for _ in lower]
    for j in range(len(lower)):
        pivot = (lower[j][j] << 24) - dot(factor[j], factor[j])
        factor[j].append(math.isqrt(max(pivot, 2**41)))
        for i in range(j + 1, len(lower)):
            value = (lower[i][j] << 24) - dot(factor[i][:j], factor[j][:j])
            factor[i].append(clip(value // factor[j][j], 2**26))
    return factor


def squared_length(factor: Matrix, drives: Sequence[int]) -> int:
    """|L^-1 u|^2, Q.16, of u in Q.16."""
    solved: list[int] = []
    for row, drive in zip(factor, drives, strict=True):
        value = (drive << 24) - dot(row[: len(solved)], solved)
        solved.append(clip(value // row[len(solved)], 2**29))
    return dot(solved, solved) >> 16


class ReferenceNetwork:
    """The reference for `network.CoLaNET`; counts are sequences of whole numbers 0..10."""

    def __init__(self, params: Params, n_inputs: int, background: Sequence[Sequence[int]] = ()) -> None:
        self.params, self.n_inputs, self.n_learnt = params, n_inputs, 0
        self.columns: list[Column] = []
        rule = params.plasticity
        self.rule: PublishedReference | DecorrelatedReference = (
            PublishedReference(params, rule, n_inputs)
            if isinstance(rule, Published)
            else DecorrelatedReference(params, rule, n_inputs, background)
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order in which they were added."""
        return tuple(column.label for column in self.columns)

    def add_class(self, label: str) -> None:
        """Add a column. Raises InputError when the label is there already."""
        if label in self.labels:
            raise InputError(f"class {label!r} exists already")
        members = [
            [self.rule.new_neuron() for _ in range(self.params.microcolumns)] for _ in range(self.params.members)
        ]
        self.columns.append(Column(label, stream_key(label), members))
        self.rule.refresh_all(self.columns)

    def remove_class(self, label: str) -> None:
        """Remove a column. Raises UnknownLabel."""
        del self.columns[self._index(label)]
        self.rule.refresh_all(self.columns)

    def learn_one(self, counts: Sequence[int], label: str) -> None:
        """Learn one labelled presentation. Raises InputError, UnknownLabel."""
        self._check(counts)
        self.rule.learn(self.columns, counts, self._index(label), self.n_learnt)
        self.n_learnt += 1

    def learn_variation(self, counts: Sequence[int], label: str) -> None:
        """Learn a variation of what a class has learnt. Raises InputError, UnknownLabel."""
        self._check(counts)
        target = self._index(label)
        if isinstance(self.rule, DecorrelatedReference):
            self.rule.vary(self.columns, counts, target)

    def rehearse_one(self, counts: Sequence[int], label: str) -> None:
        """Rehearse an example that was learnt before. Raises InputError, UnknownLabel."""
        self._check(counts)
        target = self._index(label)
        if isinstance(self.rule, DecorrelatedReference):
            self.rule.rehearse(self.columns, counts, target)

    def predict_one(self, counts: Sequence[int]) -> ReferenceDecision:
        """Return the class that ranks highest, the one added first at a tie; None if no neuron fired."""
        self._check(counts)
        trials = [
            [self.rule.trial(column, member, counts, None) for member in range(self.params.members)]
            for column in self.columns
        ]
        spikes = [sum(trial.spikes for trial in of_column) for of_column in trials]
        first = [min(trial.first for trial in of_column) for of_column in trials]
        excitation = [
            sum(
                (trial.spikes << 10) + (trial.potential << 10) // max(neurons[trial.winner].threshold, 1)
                for trial, neurons in zip(of_column, column.members, strict=True)
            )
            for of_column, column in zip(trials, self.columns, strict=True)
        ]
        if not trials:
            return ReferenceDecision(None, spikes, first, 0, excitation)
        best = max(range(len(trials)), key=lambda column: self.rule.rank(trials[column]))
        appraisal = self.rule.appraise(self.columns, counts, best)
        if not any(spikes):
            return ReferenceDecision(None, spikes, first, 0, excitation, *appraisal)
        others = [count for column, count in enumerate(spikes) if column != best]
        margin = spikes[best] - max(others, default=0)
        return ReferenceDecision(self.columns[best].label, spikes, first, margin, excitation, *appraisal)

    def _index(self, label: str) -> int:
        if label not in self.labels:
            raise UnknownLabel(f"class {label!r} is not known")
        return self.labels.index(label)

    def _check(self, counts: Sequence[int]) -> None:
        if len(counts) != self.n_inputs or not all(0 <= count <= INPUT_STEPS for count in counts):
            raise InputError(f"expected {self.n_inputs} counts of 0..{INPUT_STEPS}")
