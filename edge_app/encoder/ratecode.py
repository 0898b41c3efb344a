"""Rate code: embedding -> spike counts, 0..10 an input; pure, and in integers.

Equation, for a quantised embedding e (zero point taken off, so e >= 0) of n values with the sum E:

    sqrt law    v_i = sqrt(e_i)      rms(v)^2 = E / n
    linear law  v_i = e_i            rms(v)^2 = sum(e_i^2) / n
    count_i = min(T, floor(T * v_i / (saturation * rms(v)) + 1/2)),  T = 10

Dividing by the rms is a gain control: a dim picture and a bright one of the same thing spike alike. The square root
spends the few spikes better on the many small values of an embedding and makes the code's dot product the Bhattacharyya
affinity of two embeddings. count_i >= k is tested as an inequality of squares, so that no root and no rounding mode
enters: v_i^2 * (2T)^2 >= ((2k - 1) * saturation)^2 * rms(v)^2.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

Law = Literal["sqrt", "linear"]

STEPS = 10
"""T, the most spikes that an input fires in one presentation."""
SATURATION_UNITS = 16
"""The saturation is kept as a whole number of 1/16 rms, so that the comparison stays exact."""


@dataclass(frozen=True)
class RateCode:
    """Turns quantised embeddings into spike counts.

    n_inputs: values of an embedding, and inputs of the classifier.
    law: what a value is before it becomes a spike count, "sqrt" or "linear".
    saturation: level that fires at every step, in multiples of the embedding's rms; a multiple of 1/16.
    zero_point: the quantised value that stands for 0.

    Raises InputError for a law, a size or a level that is none.
    """

    n_inputs: int
    law: Law = "sqrt"
    saturation: float = 3.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.n_inputs < 1:
            raise InputError(f"rate code: n_inputs = {self.n_inputs}, expected at least 1")
        if self.law not in get_args(Law):
            raise InputError(f"rate code: law = {self.law!r}, expected one of {', '.join(get_args(Law))}")
        units = Fraction(self.saturation) * SATURATION_UNITS
        if units.denominator != 1 or not 1 <= units <= 64 * SATURATION_UNITS:
            raise InputError(f"rate code: saturation = {self.saturation}, expected a multiple of 1/16 up to 64 (rms)")
        if not 0 <= self.zero_point <= 255:
            raise InputError(f"rate code: zero_point = {self.zero_point}, expected 0..255")

    @classmethod
    def for_model(cls, manifest: "ModelManifest") -> "RateCode":
        """Return the rate code that a model's manifest asks for; keys it lacks keep their defaults.

        Raises InputError for an unknown key or a value out of range.
        """
        options = dict(manifest.rate_code)
        if unknown := sorted(options.keys() - {"law", "saturation"}):
            raise InputError(f"{manifest.name}: unknown key {unknown[0]!r} in [rate_code], expected law or saturation")
        return cls(
            n_inputs=manifest.embedding_size,
            law=cast(Law, options.get("law", cls.law)),
            saturation=float(cast(float, options.get("saturation", cls.saturation))),
            zero_point=manifest.embedding_zero_point,
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that the counts depend on."""
        text = f"rate code 1: {self.n_inputs} {self.law} {self.saturation!r} {self.zero_point} {STEPS}"
        return hashlib.sha256(text.encode()).hexdigest()

    def __call__(self, embedding: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return spike counts, uint8 in 0..10, for one embedding (n_inputs,) or many (m, n_inputs).

        Raises InputError unless the embedding is uint8 and has n_inputs values.
        """
        values = np.asarray(embedding)
        if values.dtype != np.uint8 or values.ndim not in (1, 2) or values.shape[-1] != self.n_inputs:
            raise InputError(
                f"embedding is {values.dtype} {values.shape}, expected uint8 ({self.n_inputs},) or "
                f"(m, {self.n_inputs}): was it made with another encoder?"
            )
        if values.ndim == 1:
            return self._table(values)[values]
        counts = np.empty_like(values)
        for row, out in zip(values, counts, strict=True):
            np.take(self._table(row), row, out=out)
        return counts

    def _table(self, embedding: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(256,) counts of every quantised value, with the gain that this embedding asks for."""
        level = np.maximum(np.arange(256, dtype=np.int64) - self.zero_point, 0)
        power = level if self.law == "sqrt" else level * level
        energy = int(np.take(power, embedding).sum())
        if energy == 0:
            return np.zeros(256, np.uint8)
        units = int(self.saturation * SATURATION_UNITS)
        # both sides of the inequality times n * 16^2; at most 2^16 * 2^16 * 20^2 * 2^8 and 2^9 * 2^20 * 2^32: int64
        left = power * (self.n_inputs * (2 * STEPS * SATURATION_UNITS) ** 2)
        odd = 2 * np.arange(1, STEPS + 1, dtype=np.int64) - 1
        return np.searchsorted((odd * units) ** 2 * energy, left, side="right").astype(np.uint8)
