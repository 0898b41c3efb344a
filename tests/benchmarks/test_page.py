from pathlib import Path

import pytest

from benchmarks.accuracy.page import BASELINES, TABLES, margins, markdown, write_page
from benchmarks.accuracy.pictures import learning_curves
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.errors import InputError


def ledger(folder: Path) -> ResultsFile:
    """Results of two rows of one data set."""
    found = ResultsFile(folder / "results.json")
    calibration = {"expected_calibration_error": 0.02, "bins": []}
    for row, ours, theirs in (
        ("all", 0.9, 0.85),
        ("1", 0.4, 0.45),
        ("5", 0.6, 0.5),
        ("10", 0.7, 0.6),
        ("20", 0.8, 0.7),
    ):
        values = {"accuracy": ours, "accuracy_std": 0.01, "confidence": calibration, "n_train": 400, "n_classes": 10}
        found.measure(f"colanet/sign_digits/{row}", 1, lambda values=values: values)
        shares = {name: theirs - 0.01 * place for place, name in enumerate(reversed(BASELINES))}
        found.measure(f"baselines/sign_digits/{row}", 1, lambda shares=shares: {"accuracy": shares})
    return found


def test_fills_its_tables_and_leaves_the_words(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text("before\n<!-- accuracy -->\nold\n<!-- end -->\nbetween\n<!-- margins -->\n<!-- end -->\nafter\n")
    results = ledger(tmp_path)
    write_page(results, page)
    text = page.read_text()
    assert "old" not in text
    for line in ("before", "between", "after", "<!-- accuracy -->"):
        assert line in text.splitlines()
    assert "| sign_digits, all | **90.0** | 1.0 |" in text
    assert "| sign_digits, 1 shot | 40.0 | 1.0 |" in text
    assert "**45.0** |" in text
    write_page(results, page)
    assert page.read_text() == text


def test_margins_are_points_above_each_bar(tmp_path: Path) -> None:
    rows = margins(ledger(tmp_path))
    assert rows[1] == ["sign_digits, all", "+7.0", "+5.0", "+5.0"]
    assert rows[2] == ["sign_digits, 1 shot", "-3.0", "-5.0", "-5.0"]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_can_be_made_of_nothing(tmp_path: Path, name: str) -> None:
    rows = TABLES[name](ResultsFile(tmp_path / "none.json"))
    assert len({len(row) for row in rows}) == 1
    assert markdown(rows).count("\n") == len(rows)


def test_unknown_table_is_named(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text("<!-- nonsense -->\n<!-- end -->\n")
    with pytest.raises(InputError, match=r"no table is called nonsense, expected one of accuracy"):
        write_page(ResultsFile(tmp_path / "none.json"), page)


def test_the_page_has_a_place_for_every_table() -> None:
    repository = Path(__file__).resolve().parents[2]
    text = "".join((repository / page).read_text() for page in ("docs/results.md", "README.md"))
    for name in TABLES:
        assert f"<!-- {name} -->" in text


def test_learning_curves_need_results(tmp_path: Path) -> None:
    assert learning_curves(ResultsFile(tmp_path / "none.json")) is None
    (axes,) = learning_curves(ledger(tmp_path)).axes
    line = next(line for line in axes.lines if line.get_label() == "CoLaNET")
    assert list(line.get_xdata()) == [1, 5, 10, 20, 40]
    assert list(line.get_ydata()) == pytest.approx([40, 60, 70, 80, 90])
