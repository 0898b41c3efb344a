from pathlib import Path

import pytest

from benchmarks.speed import figures, readme
from edge_app.errors import InputError
from support.speed_result import result

PAGE = "# a\n\n<!-- speed, by make bench -->\nold\n<!-- speed ends -->\n\nrest\n"


def test_fills_the_part_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    for _ in range(2):
        readme.fill(page, result())
        text = page.read_text()
        assert text.startswith("# a\n\n<!-- speed, by make bench -->\nA processor, 1 thread, runtime 1, x86_64:")
        assert text.endswith("<!-- speed ends -->\n\nrest\n")
    assert "old" not in text
    assert "| **CoLaNET** | 20 | 300 |" in text
    assert "| streaming LDA, numpy | 6 | 1,500, and 50,000 before it can decide |" in text
    assert "| Akida's simulator, 1-bit weights | 50 | 150 |" in text
    assert "decides on 50,000 and learns 3,333 images a second" in text


def test_a_page_without_marks_is_named(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing")
    with pytest.raises(InputError, match=r"README.md has lost the marks"):
        readme.fill(page, result())
    assert page.read_text() == "nothing"


def test_draws_every_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = figures.draw(result(), tmp_path)
    assert len(paths) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
