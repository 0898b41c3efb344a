"""Rate code: embedding -> spike counts, 0..10 an input; pure, and in integers.

Equation, for a quantised embedding e (zero point taken off, e >= 0) of n values:

    v_i = e_i ^ exponent,  rms^2 = sum(v_i^2) / n
    count_i = min(T, floor(T * v_i / (saturation * rms) + 1/2)),  T = 10

Dividing by the rms is a gain control: a dim picture and a bright one of the same thing spike alike. An exponent below 1
spends the few spikes on the many small values of an embedding (Stevens's power law; 1/2 would make the dot product of
two codes the Bhattacharyya affinity of the embeddings). count_i >= k is tested as an inequality of squares, so that no
rounding of floats enters: v_i^2 * (2T)^2 >= ((2k - 1) * saturation)^2 * rms^2.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

# quarters only, so that v^2 can be computed by integer roots; 3/4 was best on validation data
EXPONENTS = (0.5, 0.75, 1.0)
STEPS = 10
"""T, the most spikes that an input fires in one presentation."""
MAX_INPUTS = 1 << 14
SATURATION_UNITS = 16
"""The saturation is kept as a whole number of 1/16 rms, so that the comparison stays exact."""


@dataclass(frozen=True)
class RateCode:
    """Turns quantised embeddings into spike counts.

    n_inputs: values of an embedding, and inputs of the classifier.
    exponent: of the power law between activation and spikes, one of EXPONENTS.
    saturation: level that fires at every step, in multiples of the embedding's rms; a multiple of 1/16.
    zero_point: the quantised value that stands for 0.

    Raises InputError for a value out of its range.
    """

    n_inputs: int
    exponent: float = 0.75
    saturation: float = 3.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n_inputs <= MAX_INPUTS:
            raise InputError(f"rate code: n_inputs = {self.n_inputs}, expected 1 to {MAX_INPUTS}")
        if self.exponent not in EXPONENTS:
            raise InputError(f"rate code: exponent = {self.exponent}, expected one of {', '.join(map(str, EXPONENTS))}")
        # Fraction: exact, where a float product could be rounded to a whole number
        units = Fraction(self.saturation) * SATURATION_UNITS
        if units.denominator != 1 or not 1 <= units <= 16 * SATURATION_UNITS:
            raise InputError(f"rate code: saturation = {self.saturation}, expected a multiple of 1/16 up to 16 (rms)")
        if not 0 <= self.zero_point <= 255:
            raise InputError(f"rate code: zero_point = {self.zero_point}, expected 0..255")

    @classmethod
    def for_model(cls, manifest: "ModelManifest") -> "RateCode":
        """Return the rate code that a model's manifest asks for; keys it lacks keep their defaults.

        Raises InputError for an unknown key or a value out of range.
        """
        options = dict(manifest.rate_code)
        if unknown := sorted(options.keys() - {"exponent", "saturation"}):
            raise InputError(
                f"{manifest.name}: unknown key {unknown[0]!r} in [rate_code], expected exponent or saturation"
            )
        return cls(
            n_inputs=manifest.embedding_size,
            exponent=float(cast(float, options.get("exponent", cls.exponent))),
            saturation=float(cast(float, options.get("saturation", cls.saturation))),
            zero_point=manifest.embedding_zero_point,
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that the counts depend on."""
        # "2": raised when the same values come to give other counts
        text = f"rate code 2: {self.n_inputs} {float(self.exponent)} {float(self.saturation)} {self.zero_point} {STEPS}"
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
            # a table of 256 entries instead of an inequality for each input
            return self._table(values)[values]
        counts = np.empty_like(values)
        for row, out in zip(values, counts, strict=True):
            np.take(self._table(row), row, out=out)
        return counts

    def _table(self, embedding: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(256,) counts of every quantised value, with the gain that this embedding asks for."""
        power = _squares(self.exponent, self.zero_point)
        energy = int(np.take(power, embedding).sum())
        # an embedding of zeros has no rms to divide by
        if energy == 0:
            return np.zeros(256, np.uint8)
        return np.searchsorted(self._rungs() * energy, power * self._scale(), side="right").astype(np.uint8)

    # both sides of the inequality times n * 16^2 and 2^8; the right one is at most (19 * 16^2)^2 * 2^24 * 2^14 < 2^63

    def _scale(self) -> int:
        return self.n_inputs * (2 * STEPS * SATURATION_UNITS) ** 2

    def _rungs(self) -> NDArray[np.int64]:
        units = int(self.saturation * SATURATION_UNITS)
        odd = 2 * np.arange(1, STEPS + 1, dtype=np.int64) - 1
        return (odd * units) ** 2

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return the rate code as int64 arrays: power (256,), scale (), rungs (10,).

        With v = power[embedding], the count of input i is the number of rungs r with v_i * scale >= r * sum(v); 0 where
        the sum is 0.
        """
        power = _squares(self.exponent, self.zero_point)
        return {"power": power.copy(), "scale": np.array(self._scale()), "rungs": self._rungs()}


@lru_cache
def _squares(exponent: float, zero_point: int) -> NDArray[np.int64]:
    """(256,) v^2 of every quantised value, in units of 2^-8 that the inequality is blind to."""
    levels = [max(value - zero_point, 0) for value in range(256)]
    # v^2 = level^(2 exponent) is the root of level^(4 exponent); 16 bits before the root are 8 after it
    return np.array([isqrt(level ** round(4 * exponent) << 16) for level in levels], np.int64)
