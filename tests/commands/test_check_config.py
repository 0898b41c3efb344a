"""check-config: what `run` would say of a file, without running."""

import tomllib
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.config import Config, load_config

EXAMPLE = Path(__file__).resolve().parents[2] / "systemd" / "config.toml"


def test_the_shipped_example_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check-config", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == f"{EXAMPLE}: right\n"


def test_shown_values_make_the_same_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[camera]\nuri = "sim:fps=3"\n[buttons]\nclasses = {a = "red pen"}\n', encoding="utf-8")
    assert cli.run(["check-config", "--show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown).keys() == Config().to_table().keys()
    again = tmp_path / "again.toml"
    again.write_text(shown, encoding="utf-8")
    assert load_config(again, {}) == load_config(path, {})


def test_a_bad_value_is_told_and_gives_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[decision]\nvote = 0\n", encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"edge-app check-config: {path}: decision.vote = 0, expected a whole number from 1 to 100\n"
