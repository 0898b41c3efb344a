"""The page's tables and the result that they are made of; and the recording that is measured."""

import json
from pathlib import Path

import pytest

from benchmarks import events
from edge_app.devices.event_files import EventFile


def test_the_page_shows_the_stored_result() -> None:
    result = json.loads(events.RESULT.read_text(encoding="utf-8"))
    page = events.PAGE.read_text(encoding="utf-8")
    for name, rows in (("accuracy", events.accuracy_table(result)), ("speed", events.speed_table(result))):
        assert f"<!-- {name} -->\n{events.markdown(rows)}\n<!-- end -->" in page
    assert result["speed"]["decided_on"]["cores"] <= 1


def test_the_recording_has_an_event_each_microsecond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faery")
    monkeypatch.setattr(events, "RATE", 64_000)
    path = tmp_path / "recording.raw"
    events.write_recording(path, 1)
    with EventFile("events:x", path, None) as file:
        packets = list(file.packets())
        assert file.size == events.SIZE
    times = [t for packet in packets for t in packet.t.tolist()]
    assert times == list(range(64_000))
