"""The man page: every command and option, and nothing that roff misreads."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_app.cli import COMMANDS
from release.man_page import VARIABLES, man_page

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_command_has_a_section() -> None:
    page = man_page(0)
    for command in COMMANDS:
        name = command.removesuffix("_").replace("_", r"\-")
        assert f"\n.SS edge\\-app {name}\n" in page
    assert '"1970-01-01"' in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_roff_formats_it_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=man_page(0), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_variables_it_names_are_read_by_the_program() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "edge_app").rglob("*.py"))
    for name, _ in VARIABLES:
        assert f'"{name}"' in sources, name
