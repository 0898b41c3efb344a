import json
from pathlib import Path

import pytest

from edge_app.commands.output import check_target, show_progress, table, write_json
from edge_app.errors import InputError


def test_table_aligns_columns() -> None:
    assert table([("", "ms"), ("encode", "2.8"), ("learn", "10.1")]) == "          ms\nencode   2.8\nlearn   10.1"


def test_json_to_a_file_and_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(str(tmp_path / "r.json"), {"a": {"b": 0.5}})
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": {"b": 0.5}}
    write_json("-", {"a": [1]})
    assert json.loads(capsys.readouterr().out) == {"a": [1]}


def test_target_is_checked_before_any_work(tmp_path: Path) -> None:
    check_target("--json", "-")
    check_target("--json", str(tmp_path / "new.json"))
    assert not (tmp_path / "new.json").exists()
    with pytest.raises(InputError, match=r"--json .*is a folder"):
        check_target("--json", str(tmp_path))
    with pytest.raises(InputError, match=r"--json .*no folder .*nowhere"):
        check_target("--json", str(tmp_path / "nowhere" / "r.json"))
    with pytest.raises(InputError, match=r"--plot .*ends in \.png"):
        check_target("--plot", str(tmp_path / "figure.jpg"), ".png")


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        write_json(str(tmp_path / "nowhere" / "r.json"), {})


def test_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(show_progress("encoding", [1, 2, 3])) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")
