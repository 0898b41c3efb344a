import shutil
from pathlib import Path

import pytest

from benchmarks.speed import figures, readme
from edge_app.errors import InputError
from support.speed_result import result

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = "# a\n\n<!-- speed, by make bench -->\nold\n<!-- speed ends -->\n\nrest\n"
OTHERS = "# b\n\n<!-- speed beside others, by make bench -->\nold\n<!-- speed beside others ends -->\n"


def test_fills_the_parts_between_the_marks(tmp_path: Path) -> None:
    page, others = tmp_path / "README.md", tmp_path / "performance.md"
    page.write_text(PAGE)
    others.write_text(OTHERS)
    for _ in range(2):
        readme.fill(page, others, result())
        text = page.read_text()
        assert text.startswith("# a\n\n<!-- speed, by make bench -->\nA processor, 1 thread, runtime 1, x86_64:")
        assert text.endswith("<!-- speed ends -->\n\nrest\n")
    assert "old" not in text
    text = others.read_text()
    assert "old" not in text
    assert "| **CoLaNET** | 20 | 300 |" in text
    assert "| streaming LDA, numpy | 6 | 1,500, and 50,000 before it can decide |" in text
    assert "| Akida's simulator, 1-bit weights | 50 | 150 |" in text
    assert "decides on 50,000 and learns 3,333 images a second" in text


@pytest.mark.parametrize("name", ["README.md", "performance.md"])
def test_a_page_without_marks_is_named(tmp_path: Path, name: str) -> None:
    pages = {"README.md": PAGE, "performance.md": OTHERS} | {name: "nothing"}
    for file, text in pages.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=rf"{name} has lost the marks"):
        readme.fill(tmp_path / "README.md", tmp_path / "performance.md", result())
    assert (tmp_path / name).read_text() == "nothing"


def test_the_pages_have_their_marks(tmp_path: Path) -> None:
    for page in ("README.md", "docs/performance.md"):
        shutil.copy(REPOSITORY / page, tmp_path)
    readme.fill(tmp_path / "README.md", tmp_path / "performance.md", result())


def test_draws_every_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = figures.draw(result(), tmp_path)
    assert len(paths) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
