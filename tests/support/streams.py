"""Invented material: classes as clusters of embeddings, no image and no encoder."""

import numpy as np

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.splits import Draw
from edge_app.evaluation.trial import Rows

SIZE = 48
RATE_CODE = RateCode(SIZE)


def make_network() -> CoLaNET:
    return CoLaNET(Params(), SIZE)


def material(
    n_classes: int = 4, learnt: int = 12, tested: int = 8, spread: float = 25.0, repeats: int = 1
) -> EmbeddedDraws:
    """Clusters of the classes c0, c1, ...; each repeat learns and tests the same rows."""
    centres = np.random.default_rng(7).integers(0, 160, (n_classes, SIZE))
    random = np.random.default_rng(1)
    each = learnt + tested
    labels = np.repeat(np.arange(n_classes), each).astype(np.intp)
    values = np.clip(centres[labels] + random.normal(0, spread, (len(labels), SIZE)), 0, 255).astype(np.uint8)
    names = tuple(f"c{label}/{number}.jpg" for label in range(n_classes) for number in range(each))
    train = tuple(i for i in range(len(labels)) if i % each < learnt)
    test = tuple(i for i in range(len(labels)) if i % each >= learnt)
    classes = tuple(f"c{label}" for label in range(n_classes))
    rows = Rows({i: i for i in range(len(labels))}, values, labels, names, classes, 0, ())
    times: dict[str, list[float]] = {"decide": [], "learn": []}
    return EmbeddedDraws(rows, [Draw(train, test)] * repeats, RATE_CODE(values), times, [])
