"""Rows around a centre for each class, for what learns from embeddings."""

import numpy as np

from edge_app.evaluation import baselines
from edge_app.evaluation.baselines import Labels, Rows

N_CLASSES = 4


def clusters(seed: int = 0, each: int = 40, spread: float = 12) -> tuple[Rows, Labels]:
    """Return unit rows around a centre for each class, mixed."""
    centres = np.random.default_rng(7).integers(20, 200, (N_CLASSES, 32))
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(N_CLASSES), each))
    values = np.clip(centres[labels] + random.normal(0, spread, (len(labels), 32)), 0, 255).astype(np.uint8)
    return baselines.unit_rows(values), labels
