"""The page's tables and the result that they are made of; and the recording that is measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import events
from edge_app.datasets.dataset import Dataset
from edge_app.devices.event_files import EventFile
from edge_app.encoder.model import load_manifest
from support.pictures import zipped


def test_the_page_shows_the_stored_result() -> None:
    result = json.loads(events.RESULT.read_text(encoding="utf-8"))
    page = events.PAGE.read_text(encoding="utf-8")
    for name, rows in events.tables(result).items():
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


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set of two kinds of stripes, of which one picture is flat; and the only set measured."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr(events, "SETS", ("small",))
    monkeypatch.setenv("EDGE_APP_MODELS", str(tmp_path / "models"))
    for label, axis in (("across", 0), ("down", 1)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(6):
            stripes = ((np.indices((96, 96))[axis] + 2 * number) // 12 % 2 * 255).astype(np.uint8)
            Image.fromarray(stripes).save(tmp_path / "pictures" / label / f"{number}.png")
    Image.fromarray(np.full((96, 96), 80, np.uint8)).save(tmp_path / "pictures" / "across" / "flat.png")
    zipped(tmp_path / "pictures", tmp_path / "small.zip")
    return tmp_path


def test_what_is_measured_without_the_encoder_of_events(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVENTS_MODEL", "absent")
    monkeypatch.setattr(events, "KINDS", {"pictures": (), "of events": ("--events", "--model", "absent")})
    assert list(events.measure_accuracy(small, tmp_path / "cache")["small"]) == ["pictures"]
    monkeypatch.setattr(events, "accuracies_after", lambda *rest: {str(steps): 1.0 for steps in rest[3]})
    found = events.measure_steps(small, tmp_path / "cache")["small"]["edge pictures"]
    assert found == {learnt: dict.fromkeys(("1", "2", "4", "8"), 1.0) for learnt in ("all steps", "as many")}


def test_the_encoder_of_events_has_rows_of_its_own(small: Path, tmp_path: Path) -> None:
    tiny = pytest.importorskip("support.tiny_spiking", reason="packing a graph needs ai-edge-litert")
    tiny.write_model(
        tmp_path / "models", tiny.spiking_network(0, top=8, size=32), events.EVENTS_MODEL, colour="red-blue"
    )
    cache = tmp_path / "cache"
    found = events.measure_accuracy(small, cache)["small"]
    assert list(found) == ["pictures", "events", "events, spiking encoder of events"]
    assert [one["skipped"] for one in found.values()] == [0, 1, 1]
    assert "encoder" not in found["events"]
    assert found["events, spiking encoder of events"]["encoder"]["spikes"] > 0
    steps = events.measure_steps(small, cache)["small"]
    for title, kind in (
        ("edge pictures", "events"),
        ("spiking encoder of events", "events, spiking encoder of events"),
    ):
        for learnt in ("all steps", "as many"):
            assert list(steps[title][learnt]) == ["1", "2", "4", "8"]
            assert steps[title][learnt]["8"] == found[kind]["accuracy"], "all steps are what evaluate shows"
    rows = events.steps_table({"steps": {"small": steps}})
    assert rows[0] == ["decision after", "learnt", "1 step", "2 steps", "4 steps", "8 steps"]
    assert [row[0] for row in rows[1::2]] == ["small, edge pictures", "small, spiking encoder of events"]
    assert [row[1] for row in rows[1:3]] == ["all steps", "as many"]
    assert rows[1][5].endswith(" %")


def test_what_is_learnt_and_what_is_tested_have_steps_of_their_own(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, int]] = []

    class Told(events.EventEncoder):
        def embed(self, data: bytes) -> np.ndarray:
            shown.append((self._steps, hash(data)))
            return super().embed(data)

    monkeypatch.setattr(events, "EventEncoder", Told)
    with Dataset(small / "small.zip") as dataset:
        events.accuracies_after(dataset, load_manifest(), 8, (1, 2, 4, 8), small / "cache")
        of_steps = {steps: {data for seen, data in shown if seen == steps} for steps in (1, 2, 4, 8)}
        assert [len(of_steps[steps]) for steps in (1, 2, 4, 8)] == [2, 2, 2, 13]
        assert of_steps[1] < of_steps[8]
        shown.clear()
        events.accuracies_after(dataset, load_manifest(), 2, (2,), small / "cache")
        assert {steps for steps, _ in shown} == {2}
