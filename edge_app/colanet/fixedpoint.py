"""Formats, rounding and tables of the classifier's integers, and its random stream.

Qm.n below is a signed integer of m + n + 1 bits that stands for value * 2^n.

| quantity                              | format  | type  | saturation |
|---------------------------------------|---------|-------|------------|
| weight, decorrelated rule             | Q0.15   | int16 | +-32767    |
| weight, published rule                | Q3.12   | int16 | parameters keep it inside |
| potential, threshold, tonic inhibition| as the weight | int32 | n_inputs is bounded so that it fits |
| mean spike counts of an L neuron      | Q7.24   | int32 | fits: 0..T |
| residual (counts - mean)              | Q15.16  | int32 | fits: -T..T |
| drive of an L neuron (P m), trace     | Q10.20  | int32 | +-2^30     |
| correction U                          | Q7.24   | int32 | +-2^30     |
| decorrelation P                       | Q1.30   | int32 | +-2^30     |
| resource, stability                   | Q15.16  | int32 | +-(2^31 - 1); stability not below 0 |
| 2^-s                                  | Q0.16   | table | s in steps of 1/64, 0 from s = 17 on |

Rounding: a right shift of a quantity that was lifted by half (to nearest, halves up) where the text says "rounded",
else towards minus infinity, as >> and // do in Python and in numba alike. Parameters given as floats are rounded once,
when a network is made.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

WEIGHT_BITS = 15
PUBLISHED_WEIGHT_BITS = 12
DECORRELATION_BITS = 30
DECORRELATION_MAX = 1 << DECORRELATION_BITS
DRIVE_MAX = 1 << 30
"""With P <= 1 no drive and no trace exceeds T sqrt(n_inputs) = 572; twice that keeps every product inside 64 bits."""
CORRECTION_MAX = 1 << 30
FACTOR_MAX = 1 << 32
"""Q.24: what a response over its scale is cut to; it stays below T sqrt(n_inputs) / 2 by Cauchy and Schwarz."""
RESOURCE_BITS = 16
ONE_RESOURCE = 1 << RESOURCE_BITS
POWER_STEPS = 64
"""Entries of the table of 2^-s per unit of s."""
MASK64 = (1 << 64) - 1


def to_fixed(value: float, bits: int) -> int:
    """Return `value` * 2^bits, rounded to nearest, halves up."""
    return math.floor(value * (1 << bits) + 0.5)


def _power_table() -> NDArray[np.int64]:
    """2^(-i/64) in Q0.16 for i = 0 .. 17 * 64 - 1, made of integer roots so that every machine has the same table."""
    # integers of any size: math.exp2 may differ in the last bit between machines
    precision = 96
    root = 1 << (precision - 1)  # 2^-1
    # six square roots: the 64th root
    for _ in range(POWER_STEPS.bit_length() - 1):
        root = math.isqrt(root << precision)
    table, power = [], 1 << precision
    for _ in range(17 * POWER_STEPS):
        # rounded to nearest: half a unit of Q0.16 is added before the shift
        table.append((power + (1 << (precision - 17))) >> (precision - 16))
        power = power * root >> precision
    return np.array(table, np.int64)


POWER_TABLE = _power_table()


def label_key(label: str) -> int:
    """Return 63 bits of a label's SHA-256: names a column's random stream, whatever other columns there are."""
    # 63 bits: keys are stored as int64
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little") >> 1


def mix64(value: int) -> int:
    """Return the finaliser of SplitMix64 (Steele, Lea and Flood 2014) of a 64-bit value."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK64
    return value ^ (value >> 31)


def noise(seed: int, key: int, neuron: int, presentation: int, step: int, bound: int) -> int:
    """Return the random drive of one neuron in one step, 0 <= noise < max(bound, 1), in the weights' format.

    A counter-based stream: what a column draws does not depend on the other columns, on order, or on threads.
    neuron counts the L neurons of a column over all members.
    """
    state = mix64(key ^ mix64(seed << 32 | neuron))
    # 5 bits: a presentation has 15 steps
    state = mix64(state ^ mix64(presentation << 5 | step))
    # the upper half times the bound: no modulo, whose results would be biased, and no 128-bit product
    return (state >> 32) * bound >> 32
