"""Decide with what a device was taught, in numpy alone: no edge-app, no compiler.

    edge-app export --state ~/things --as npz things.npz
    python read_network.py things.npz EMBEDDINGS.npy       # (m, n) uint8, from the encoder that things.npz names

`decide` gives the decisions of edge-app, to the bit. docs/npz.md describes the arrays.
"""

import sys
from math import isqrt

import numpy as np


def load(path):
    """Return the arrays of an exported file by name."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def decide(network, embedding):
    """Return the class of an embedding, (n,) uint8; None: unknown."""
    values = network["power"][embedding]
    counts = (values[:, None] * network["scale"] >= network["rungs"] * max(values.sum(), 1)).sum(1)
    spikes, potential = present(network, counts)
    best = np.lexsort((-potential, -spikes))[0]
    new = novelty(network, counts, spikes * network["threshold"] + potential, best) > network["limit"]
    return str(network["labels"][best]) if spikes[best] and not new else None


def present(network, counts):
    """Return the spikes of each column, and the potential that it has left."""
    potential = spikes = np.zeros_like(network["threshold"])
    for drive in network["spike_times"][counts].T @ network["weights"] + network["steady"]:
        fired = potential + drive >= network["threshold"]
        potential, spikes = potential + drive - fired * network["threshold"], spikes + fired
    return spikes, potential


def novelty(network, counts, drives, best):
    """Return how new an example is, in 1/1024 octave: `Columns.appraise` in edge_app/colanet/decorrelated.py.

    counts (n,): spikes per input; drives (classes,): what each column received; best: the winner's index.
    """
    norm, norms, ridge = int(network["mean_norm"]), network["norms"], int(network["ridge"])
    others = [i for i in np.argsort(-drives, kind="stable") if i != best and norms[i] > 0]
    near = [best, *others][: network["neighbours"]]
    n = len(near)
    own = [relative(drives[i], norm) for i in near]
    shared = [[int(network["shared"][near[max(i, j)], near[min(i, j)]]) for j in range(n)] for i in range(n)]
    gaps = [own[i] - cut(shared[i][0] * int(norms[best]) // norm >> 8, 22) for i in range(n)]
    for i in range(n):  # Cholesky's factor, Q.24
        shared[i][i] = max(shared[i][i], 0) + ridge
    for j in range(n):
        pivot = (shared[j][j] << 24) - sum(shared[j][k] ** 2 for k in range(j))
        shared[j][j] = isqrt(max(pivot, ridge << 24))
        for i in range(j + 1, n):
            value = (shared[i][j] << 24) - sum(shared[i][k] * shared[j][k] for k in range(j))
            shared[i][j] = cut(value // shared[j][j], 26)
    received = counts @ network["background_weights"].T.astype(np.int64) - network["background_tonic"]
    beside = max((relative(value, norm) for value in received), default=0)
    lead = max(own[0] - max(own[1], 0), 0) if n > 1 else own[0]
    short = min(own[0] - least_drive(network, counts, best, beside), 0)
    spread = int(network["own_spread"])
    to_class, to_mean = (log2(spread + squared_length(shared, values)) for values in (gaps, own))
    familiarity = (to_mean >> 1) - to_class - int(network["shares"][best])
    familiarity += contrast(network["means"][best].astype(np.int64), counts.astype(np.int64))
    return -(familiarity + (lead >> 6) - (beside >> 6) + (short >> 1))


def least_drive(network, counts, best, beside):
    """Return the drive, Q.16, that an example of the class `best` has at least; beside: that of the background."""
    bar = max(int(network["least_drive"]), beside + int(network["background_lead"]))
    bar -= bar // int(network["few"][best])
    bar += 2 * max(int(network["least_kinship"][best]) - kinship(network, counts), 0)
    return bar + 6 * max(int(network["least_cosine"][best]) - cosine(network, counts, best), 0)


def contrast(mean, counts):
    """Return log2 of the squared length of the counts over that of a class's mean, Q.10; a length is at least 1."""
    return log2(max(int(counts @ counts), 1) << 16) - log2(max(int(mean @ mean) >> 16, 1 << 16))


def kinship(network, counts):
    """Return the kinship of an example with what was taught, Q.16; without a background more than any that is asked."""
    middle, length = (int(value) for value in network["middle"])
    return cut(((int(counts @ network["axis"]) >> 4) - middle << 16) // length, 22) if length else 1 << 22


def cosine(network, counts, best):
    """Return the cosine of an example and the mean of the class `best`, Q.16."""
    mean, counts = network["means"][best].astype(np.int64), counts.astype(np.int64)
    lengths = isqrt(int(counts @ counts) << 32) * isqrt(int(mean @ mean)) >> 16
    return (int(counts @ mean) << 16) // max(lengths, 1)


def cut(value, bits):
    """Return a value limited to +-2^bits."""
    return max(min(value, 1 << bits), -(1 << bits))


def relative(drive, norm):
    """Return a drive, Q.15, in mean norms, Q.16."""
    return cut((int(drive) << 17) // norm, 22)


def squared_length(factor, values):
    """Return the squared length, Q.16, of the point that the values, Q.16, are the projections of."""
    solved = []
    for i, value in enumerate(values):
        rest = (value << 24) - sum(factor[i][k] * solved[k] for k in range(i))
        solved.append(cut(rest // factor[i][i], 29))
    return sum(value * value for value in solved) >> 16


def log2(value):
    """Return log2 of a positive value, Q.16, as Q.10."""
    whole = value.bit_length() - 1
    mantissa = value << 30 >> whole
    found = whole - 16
    for _ in range(10):
        mantissa = mantissa * mantissa >> 30
        found = 2 * found + (mantissa >> 31)
        mantissa >>= mantissa >> 31
    return found


if __name__ == "__main__":
    taught = load(sys.argv[1])
    for row in np.load(sys.argv[2]):
        print(decide(taught, row) or "unknown")
