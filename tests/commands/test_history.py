"""`edge-app history`: list, filter, count, export, delete."""

import csv
import io
import json
import time
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.commands.history import read_time
from edge_app.errors import InputError
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.storage.folder import history_path
from support.visits import WALL_NS, visit

HOUR_NS = 3600 * 1_000_000_000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with HistoryStore.open(history_path(tmp_path)) as store:
        ones = [visit("mug", 0, 75), visit(None, 80, 2), visit("=SUM(A1)", 90, 3), visit("mug", 4000, 7300)]
        records = [VisitRecord(one, open=False) for one in ones]
        records[0] = records[0]._replace(picture=b"\xff\xd8 a picture", embedding=b"1")
        store.add(records, store.begin_run(), ClockState.UNCHECKED)
        store.taught([(2, 9)], "pen")
    return tmp_path


def lines(state: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert cli.run(["history", "--state", str(state), *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_newest_come_first_with_what_is_to_be_known(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(state, capsys)
    assert [line.split()[0] for line in shown] == ["4", "3", "2", "1"]
    assert shown[0].endswith("2:01 h  camera  mug  90%")
    assert shown[2].endswith("camera  unknown  0%  taught as pen")
    assert "1:15 min" in shown[3]
    assert lines(state, capsys, "--limit", "1")[1] == "the newest 1; --limit 0 lists all"
    assert len(lines(state, capsys, "--limit", "0")) == 4


def test_filters_and_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ids(*options: str) -> list[int]:
        return [one["id"] for one in json.loads("\n".join(lines(state, capsys, "--json", *options)))["visits"]]

    assert ids("--class", "mug") == [4, 1]
    assert ids("--unknown") == [2]
    assert ids("--unsure") == []
    assert ids("--place", "door") == []
    assert ids("--since", "2027-01-15T08:01:25+00:00", "--until", "2027-01-15T09:00:00+00:00") == [3]


def test_csv_has_a_header_and_no_formula(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(lines(state, capsys, "--csv", "--limit", "2")))))
    assert [row["label"] for row in rows] == ["mug", "'=SUM(A1)"]
    assert rows[0]["seconds"] == "7300.0"
    assert rows[0]["unsure"] == "false"
    assert lines(state, capsys, "--csv", "--class", "none") == []


def test_counts_per_day_and_hour(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    since = ("--since", "2027-01-15T00:00+00:00", "--until", "2027-01-16T00:00+00:00")
    found = json.loads("\n".join(lines(state, capsys, "--counts", "hour", "--json", *since)))["counts"]
    mugs = [(one["begin_ms"] * 1_000_000 - WALL_NS, one["visits"]) for one in found if one["label"] == "mug"]
    assert mugs == [(0, 1), (HOUR_NS, 1), (2 * HOUR_NS, 0), (3 * HOUR_NS, 0)]
    assert "mug" in "".join(lines(state, capsys, "--counts", "day", *since))


def test_a_picture_goes_to_a_file(state: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run(["history", "--state", str(state), "--picture", "1"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\xd8 a picture"
    assert cli.run(["history", "--state", str(state), "--picture", "2"]) == 2
    assert b"visit 2 has no picture" in capfdbinary.readouterr().err


def test_delete_needs_a_filter_or_all(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--delete"], ["--delete", "--all", "--class", "mug"]):
        assert cli.run(["history", "--state", str(state), *options]) == 2
        assert "or --all" in capsys.readouterr().err
    assert lines(state, capsys, "--delete", "--class", "mug") == ["2 visits deleted"]
    assert lines(state, capsys, "--delete", "--all", "--json") == ['{"deleted": 2}']
    assert lines(state, capsys) == []


def test_without_a_history_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--delete", "--all"]):
        assert cli.run(["history", "--state", str(tmp_path), *options]) == 2
        assert "there is no history" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_times_are_local_or_relative() -> None:
    now_ns = time.time_ns()
    assert read_time("--since", "24h", now_ns) == now_ns - 24 * HOUR_NS
    assert read_time("--since", "today", now_ns) <= now_ns
    assert read_time("--since", "2027-01-15T08:00:00+00:00", now_ns) == WALL_NS
    for wrong in ("", "noon", "2027-13-01", "9999999d", "-1h"):
        with pytest.raises(InputError, match="expected a local time"):
            read_time("--since", wrong, now_ns)
