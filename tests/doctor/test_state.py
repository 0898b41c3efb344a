"""State folders: there or not, with room or not, sound or not."""

from pathlib import Path

import pytest

from edge_app.doctor.findings import Finding
from edge_app.doctor.state import check_state
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.storage.folder import database_path, history_path
from support.simple_network import embedding, open_learner
from support.visits import visit


def found(folder: Path | None, **how: object) -> dict[str, Finding]:
    return {line.name: line for line in check_state(folder, **how)}  # type: ignore[arg-type]


def test_none_is_named() -> None:
    assert found(None)["state"].status == "ok"


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    lines = found(tmp_path / "a" / "b")
    assert "(does not exist yet), writable" in lines["state"].detail
    assert set(lines) == {"state", "disk"}
    assert not (tmp_path / "a").exists()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    lines = found(tmp_path / "state")
    assert (set(lines), lines["state"].status) == ({"state"}, "failed")


def test_not_writable(tmp_path: Path) -> None:
    line = found(tmp_path, writable=lambda path: False)["state"]
    assert line.status == "failed"
    assert f"sudo -u {tmp_path.owner()} edge-app doctor" in line.advice


@pytest.mark.parametrize(("free", "status"), [(5.0, "failed"), (50.0, "warning"), (5000.0, "ok")])
def test_room(tmp_path: Path, free: float, status: str) -> None:
    line = found(tmp_path, free_mb=lambda path: free)["disk"]
    assert (line.status, bool(line.advice)) == (status, status != "ok")


def test_a_sound_database_and_a_damaged_one(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "cup", source="test")
        assert found(tmp_path)["database"].detail == "intact, 1 examples"  # beside the one who writes it
    path = database_path(tmp_path)
    data = bytearray(path.read_bytes())
    start = data.index(embedding(1).tobytes())
    data[start] ^= 1
    path.write_bytes(data)
    line = found(tmp_path)["database"]
    assert line.status == "failed"
    assert line.advice == f"edge-app recover --state {tmp_path}"


def test_a_history_and_a_damaged_one(tmp_path: Path) -> None:
    with HistoryStore.open(history_path(tmp_path)) as store:
        store.add([VisitRecord(visit(), open=True)], store.begin_run(), ClockState.UNCHECKED)
        assert found(tmp_path)["history"].detail == "1 visits, 0 MB"
    history_path(tmp_path).write_bytes(b"no database")
    line = found(tmp_path)["history"]
    assert (line.status, "is damaged" in line.detail) == ("warning", True)
