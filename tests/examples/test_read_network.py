"""The reader in numpy alone decides as the kernels do, to the bit: class, "unknown", and how new an example is."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params
from edge_app.colanet.portable import decision_arrays
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError
from support.example_programs import FOLDER, load_example

N = 48
READER = load_example("read_network")


def embeddings(seed: int, count: int) -> NDArray[np.uint8]:
    """Embeddings around a few prototypes, far from all of them, and of zeros: (count, N)."""
    random = np.random.default_rng(seed)
    prototypes = random.gamma(0.4, 40, (14, N))
    rows = prototypes[random.integers(0, 14, count)] * random.gamma(4, 0.25, (count, N))
    rows[::7] = random.gamma(0.4, 40, (len(rows[::7]), N))
    rows[::50] = 0
    return np.clip(rows, 0, 255).astype(np.uint8)


def taught(classes: int, examples: int, *, background: int = 0, exponent: float = 0.75) -> tuple[CoLaNET, RateCode]:
    code = RateCode(N, exponent=exponent)
    strangers = code(embeddings(99, background)) if background else None
    params = Params(plasticity=Decorrelated(regularisation=256))
    network = CoLaNET(params, N, background=strangers)
    shown = embeddings(5, examples)
    for number in range(classes):
        network.add_class(f"class {number}")
    for number, counts in enumerate(code(shown)):
        network.learn_one(counts, f"class {number % classes}")
    return network, code


def arrays(network: CoLaNET, code: RateCode, limit: int) -> dict[str, NDArray[np.int64]]:
    """The arrays as they come back from a file."""
    file = io.BytesIO()
    np.savez(file, **code.arrays(), **decision_arrays(network), limit=np.array(limit))  # type: ignore[arg-type]
    file.seek(0)
    found: dict[str, NDArray[np.int64]] = READER.load(file)
    return found


@pytest.mark.parametrize(
    ("classes", "examples", "background", "exponent"),
    [(1, 1, 0, 0.75), (1, 9, 3, 0.5), (2, 2, 0, 0.75), (7, 40, 5, 1.0), (14, 300, 12, 0.75), (30, 31, 2, 0.75)],
)
def test_the_same_decision_on_many_embeddings(classes: int, examples: int, background: int, exponent: float) -> None:
    network, code = taught(classes, examples, background=background, exponent=exponent)
    shown = embeddings(17, 400)
    decisions = [network.predict_one(code(row)) for row in shown]
    limit = int(np.median([decision.novelty for decision in decisions]))
    found = arrays(network, code, limit)
    wanted = [None if decision.novelty > limit else decision.label for decision in decisions]
    assert [READER.decide(found, row) for row in shown] == wanted
    assert None in wanted
    assert classes < 3 or len(set(wanted)) > 2


def test_a_column_without_examples_is_no_neighbour() -> None:
    network, code = taught(5, 60)
    network.add_class("empty")
    found = arrays(network, code, 1 << 62)
    shown = embeddings(17, 100)
    assert [READER.decide(found, row) for row in shown] == [network.predict_one(code(row)).label for row in shown]


def test_novelty_is_the_same_number() -> None:
    network, code = taught(14, 200, background=8)
    found = arrays(network, code, 0)
    for row in embeddings(23, 100):
        decision = network.predict_one(code(row))
        for limit, label in ((decision.novelty, decision.label), (decision.novelty - 1, None)):
            found["limit"] = np.array(limit)
            assert READER.decide(found, row) == label


def test_other_networks_are_refused_with_the_way_out() -> None:
    for params in (Params.preset("mnist"), Params(microcolumns=2)):
        network = CoLaNET(params, N)
        network.add_class("mug")
        with pytest.raises(InputError, match=r"L neurons a column.*rebuild --params default"):
            decision_arrays(network)
    with pytest.raises(InputError, match="no class was taught"):
        decision_arrays(CoLaNET(Params(), N))


def test_the_reader_needs_numpy_alone_and_the_decision_has_ten_lines() -> None:
    text = (FOLDER / "read_network.py").read_text(encoding="utf-8")
    assert "import edge_app" not in text
    assert "from edge_app" not in text
    body = text.split('unknown."""\n')[1].split("\n\n")[0]
    assert len(body.splitlines()) <= 10
    docs = (Path(FOLDER).parent / "docs" / "npz.md").read_text(encoding="utf-8")
    assert body in docs
