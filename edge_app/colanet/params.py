"""Parameters of the classifier: frozen, checked, in real units; `fixedpoint` converts them to integers.

A network has `microcolumns` K L-neurons in each of its `members` E copies of a column, and one of two plasticity rules:

`Published`     the rule of the CoLaNET papers: anti-Hebbian loss, dopamine reward, stability, renormalisation.
`Decorrelated`  the default: the same loss and reward, each scaled by what it corrects instead of by a constant, through
                presynaptic traces that lateral inhibition keeps decorrelated (docs/colanet.md derives it).
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_app.checks import Check, checked, number, whole
from edge_app.errors import InputError, ParameterError

INPUT_STEPS = 10
"""T, steps of a presentation in which inputs spike."""
ARITHMETIC = 3
"""Increased when equal parameters give other bits: networks learnt before are then rebuilt by replay, not mixed."""
SILENT_STEPS = 5
"""Steps of silence that end a presentation."""
MAX_RESOURCE_AT_REST = 16384
"""Resource at which a weight is 0: half of what its format holds, so that there is room to gain."""


def _check(name: str, value: float, check: Check[float]) -> None:
    try:
        checked(f"colanet.{name}", value, check)
    except InputError as error:
        raise ParameterError(str(error)) from error


def _round_numbers_to_float(rule: "Plasticity") -> None:
    """Make 5 and 5.0 the same parameter, in digests too."""
    for field in dataclasses.fields(rule):
        if field.type is float:
            # the dataclass is frozen
            object.__setattr__(rule, field.name, float(getattr(rule, field.name)))


@dataclass(frozen=True)
class Decorrelated:
    """Error-scaled loss and reward through decorrelated traces (recursive least squares in local terms).

    regularisation: prior variance of each input direction in squared spike counts; a larger value learns the directions
        of variation more slowly. Below 64 the decorrelation could overflow its 30 bits.
    resting_classes: weight, in classes, of a silent class in the mean of the columns that each column is inhibited by.
    threshold: firing threshold as a fraction of the drive that a column has, on average, for what it stands for.
    stability_max: presentations after which an L neuron's plasticity, 1/(1+n), falls no further.
    noise: fraction of the expected contribution of chance that is subtracted from a neuron's squared norm.
    novelty: weight, in examples, with which inputs that vary together between classes inhibit one another.
    correction: fraction of its error that a column unlearns of an example at first; 0 for none.
    """

    regularisation: float = 1536.0
    resting_classes: int = 3
    threshold: float = 0.125
    stability_max: int = 4096
    noise: float = 0.875
    novelty: float = 0.0625
    correction: float = 0.1

    def __post_init__(self) -> None:
        _check("regularisation", self.regularisation, number(64, 16000))
        _check("resting_classes", self.resting_classes, whole(1, 1000))
        _check("threshold", self.threshold, number(1 / 64, 1))
        _check("stability_max", self.stability_max, whole(1, 65535))
        _check("noise", self.noise, number(0, 1))
        # 0 switches it off
        if self.novelty != 0:
            _check("novelty", self.novelty, number(2**-10, 1))
        _check("correction", self.correction, number(0, 0.25))
        _round_numbers_to_float(self)


@dataclass(frozen=True)
class Published:
    """The rule of the papers; symbols and terms as there.

    threshold: H, firing threshold of a neuron without weights. excess: eta, threshold per unit of positive weight.
    tau: time constant of the membrane, steps. loss: d_H < 0, resource lost by an anti-Hebbian event.
    reward: R, resource gained by dopamine. stability_rate: r, change of stability per resource.
    w_min, w_max: range of weights. n_silent: imaginary synapses that take part in renormalisation.
    sigma: upper bound of the random drive per step while learning. isi_max: longest gap within a tight spike
    sequence, steps; at least T, so that a presentation is one sequence. t_dopamine: step at which the target spikes.
    """

    threshold: float = 8.531
    excess: float = 0.00107
    tau: float = 5.0
    loss: float = -0.1143
    reward: float = 0.2265
    stability_rate: float = 0.1588
    w_min: float = -1.634
    w_max: float = 1.714
    n_silent: int = 9
    sigma: float = 0.6257
    isi_max: int = 10
    t_dopamine: int = 10

    def __post_init__(self) -> None:
        _check("threshold", self.threshold, number(2**-12, 2**16))
        _check("excess", self.excess, number(0, 4))
        _check("tau", self.tau, number(1, 2**16))
        _check("loss", self.loss, number(-16, 0))
        _check("reward", self.reward, number(0, 16))
        _check("stability_rate", self.stability_rate, number(0, 16))
        _check("w_min", self.w_min, number(-7.9, -(2**-10)))
        _check("w_max", self.w_max, number(2**-10, 7.9))
        _check("n_silent", self.n_silent, whole(0, 2**16))
        _check("sigma", self.sigma, number(0, 2**10))
        _check("isi_max", self.isi_max, whole(INPUT_STEPS, 1000))
        _check("t_dopamine", self.t_dopamine, whole(INPUT_STEPS, INPUT_STEPS + SILENT_STEPS - 1))
        # the resource of a new synapse has to fit its format
        at_rest = -self.w_min * (self.w_max - self.w_min) / self.w_max
        if at_rest > MAX_RESOURCE_AT_REST:
            raise ParameterError(
                f"colanet.w_max = {self.w_max} is too small beside w_min = {self.w_min}: a weight of 0 would take a "
                f"resource of {at_rest:g}, expected at most {MAX_RESOURCE_AT_REST}; raise w_max"
            )
        _round_numbers_to_float(self)


Plasticity = Decorrelated | Published
_RULES: dict[str, type[Plasticity]] = {"decorrelated": Decorrelated, "published": Published}


@dataclass(frozen=True)
class Params:
    """Everything that a network's behaviour depends on, except its presentations.

    microcolumns: K, L neurons of a column that compete to stand for its sub-classes.
    members: E, copies of every column with random streams of their own, whose OUT spikes are summed; must be 1 with
        `Decorrelated`, which has no random streams.
    seed: of the random streams, 0 to 2^32 - 1.

    Raises ParameterError for a value that is out of its range.
    """

    microcolumns: int = 1
    members: int = 1
    seed: int = 0
    plasticity: Plasticity = dataclasses.field(default_factory=Decorrelated)

    def __post_init__(self) -> None:
        _check("microcolumns", self.microcolumns, whole(1, 256))
        _check("members", self.members, whole(1, 256))
        _check("seed", self.seed, whole(0, 2**32 - 1))
        if not isinstance(self.plasticity, Decorrelated | Published):
            raise ParameterError(f"colanet.plasticity = {self.plasticity!r}, expected Decorrelated or Published")
        if self.members > 1 and isinstance(self.plasticity, Decorrelated):
            raise ParameterError(
                f"colanet.members = {self.members}: the decorrelated rule has no random streams, so that the members "
                "would be equal; expected 1, or the published rule"
            )

    @property
    def rule(self) -> str:
        """Name of the plasticity rule: "decorrelated" or "published"."""
        return next(name for name, kind in _RULES.items() if isinstance(self.plasticity, kind))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all values and of the arithmetic's version."""
        values = {"arithmetic": ARITHMETIC, **self.to_dict()}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a flat mapping, with the rule's name under "rule"; `from_dict` reads it."""
        own = {name: getattr(self, name) for name in _COMMON}
        # flat: it is stored with each state, and digests depend on it
        return {"rule": self.rule, **own, **dataclasses.asdict(self.plasticity)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Params":
        """Return parameters; missing keys keep their defaults.

        Raises ParameterError for unknown keys and bad values.
        """
        rest = dict(values)
        rule = rest.pop("rule", "decorrelated")
        if rule not in _RULES:
            raise ParameterError(f"colanet.rule = {rule!r}, expected one of {', '.join(_RULES)}")
        common = {name: rest.pop(name) for name in _COMMON if name in rest}
        known = [field.name for field in dataclasses.fields(_RULES[rule])]
        if unknown := sorted(rest.keys() - set(known)):
            raise ParameterError(
                f"colanet.{unknown[0]} is not a parameter of the {rule} rule, expected one of "
                f"{', '.join([*_COMMON, *known])}"
            )
        return cls(plasticity=_RULES[rule](**rest), **common)

    @classmethod
    def preset(cls, name: str) -> "Params":
        """Return a named set: "default", or a published one: "paper", "paper-b", "mnist". Raises ParameterError."""
        if name not in PRESETS:
            raise ParameterError(f"colanet parameters {name!r} are not known, expected one of {', '.join(PRESETS)}")
        return PRESETS[name]


# parameters of both rules
_COMMON = ("microcolumns", "members", "seed")

PRESETS = {
    "default": Params(),
    # arXiv 2606.20151, CIFAR-10 features, parameter sets A and B
    "paper": Params(microcolumns=7, members=15, plasticity=Published()),
    "paper-b": Params(
        microcolumns=13,
        members=15,
        plasticity=Published(
            excess=0.00936,
            loss=-0.4122,
            reward=0.9061,
            stability_rate=0.00656,
            w_max=2.088,
            n_silent=2,
            sigma=0.1155,
        ),
    ),
    # the MNIST example of the Kaspersky Neuromorphic Platform
    "mnist": Params(
        microcolumns=20,
        plasticity=Published(
            excess=0.2177,
            tau=3.0,
            loss=-0.1765,
            reward=0.179,
            stability_rate=0.0498,
            w_min=-0.2531,
            w_max=0.0924,
            n_silent=27,
            sigma=2.212,
        ),
    ),
}
