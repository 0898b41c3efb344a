"""A whole device inside a program of one's own."""

import importlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_app
from edge_app import Corrected, Decided, Device, DeviceError, Health, InputError, Taught, cli
from edge_app.config import (
    CameraConfig,
    Config,
    ConsolidationConfig,
    EncoderConfig,
    NamedCameraConfig,
    PlaceConfig,
    WebConfig,
)
from edge_app.datasets.pictures import decode_image
from edge_app.device import MOST_WAITING, EventStream
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.functions import FunctionCamera
from edge_app.devices.ports import Camera
from edge_app.history.store import HistoryStore
from edge_app.pipeline.events import Rejected
from edge_app.pipeline.stage import CameraLost
from edge_app.simulation.shapes import ShapesScene
from edge_app.storage.folder import history_path
from support.event_files import moving_bar, save
from support.models import write_tiny
from support.pictures import picture
from support.pipeline_parts import decided

ONE_PLACE = Path(__file__).parent / "storage" / "golden" / "one-place"
SIM = "sim:scene=shapes,size=160x120,fps=30"


class Frames:
    """Shapes as fast as they are read; ends on request, or fails."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.fails: Exception | None = None
        self._scene = ShapesScene(size=(160, 120))
        self._count = 0

    def __call__(self) -> NDArray[np.uint8] | None:
        if self.fails is not None:
            raise self.fails
        if self.ended.wait(0.01):
            return None
        self._count += 1
        return self._scene.image(self._count * 10_000_000)


def config() -> Config:
    return Config(consolidation=ConsolidationConfig(enabled=False))


def next_of(device: Device, kind: type) -> Iterator[edge_app.Event]:
    return iter(device.events(kind))


def test_it_teaches_the_newest_frame_and_decides(tmp_path: Path) -> None:
    events: list[edge_app.Event] = []
    with Device(tmp_path, camera=SIM, config=config(), listener=events.append) as device:
        decisions = next_of(device, Decided)
        next(decisions)
        taught = device.teach("shape")
        assert (taught.label, taught.source, device.classes()) == ("shape", "Python", {"shape": 1})
        seen = next(event for event in decisions if isinstance(event, Decided) and event.decision.labels)
        assert seen.decision.labels == ("shape",)
        assert device.decision is not None
        assert device.running
        assert device.status().classes == ("shape",)
        assert device.classify(picture("red", 1)).decision.labels == ("shape",)
        device.rename("shape", "form")
        device.undo()
        assert [example.label for example in device.examples()] == ["shape"]
        device.relabel([1], "form")
        device.merge("form", "shape") if "shape" in device.classes() else device.forget("form")
        assert device.classes() == {}
    assert not device.running
    kinds = [type(event) for event in events if not isinstance(event, Decided)]
    assert kinds.count(Taught) == 1
    assert kinds.count(Corrected) == 4


@pytest.mark.parametrize("uri", ["events:RECORDING?loop=yes", "events:sim:size=160x120"])
def test_events_are_taught_decided_on_and_exported(tmp_path: Path, uri: str) -> None:
    pytest.importorskip("faery")
    uri = uri.replace("RECORDING", str(save(tmp_path, "evt3", moving_bar(2000))))
    state = tmp_path / "state"
    with Device(state, camera=uri, config=config()) as device:
        decisions = next_of(device, Decided)
        for _, _ in zip(range(3), decisions, strict=False):
            pass
        device.teach("moving")
        seen = next(event for event in decisions if isinstance(event, Decided) and event.decision.labels)
        assert seen.decision.labels == ("moving",)
        assert device.status().camera == "good"
    assert cli.run(["export", "--as", "folders", "--state", str(state), str(tmp_path / "out")]) == 0
    (picture,) = (tmp_path / "out").rglob("moving/*.jpg")
    grey = decode_image(picture.read_bytes())
    assert np.ptp(grey) > 10
    assert np.ptp(grey.astype(int), axis=2).max() < 10


def test_places_are_taught_by_themselves_and_known_after_a_restart(tmp_path: Path) -> None:
    places = (
        PlaceConfig(name="gate", region=(0, 0, 0.5, 1), group="doors"),
        PlaceConfig(name="shelf", region=(0.5, 0, 0.5, 1)),
        PlaceConfig(name="yard", camera="back", group="doors"),
    )
    back = NamedCameraConfig(name="back", uri=SIM)
    several = replace(config(), places=places, cameras=(back,))
    known = {"gate": {"open": 1, "closed": 1}, "shelf": {"cup": 1}, "yard": {"open": 1, "closed": 1}}
    with Device(tmp_path, camera=SIM, config=several) as device:
        decided = {event.place for event, _ in zip(next_of(device, Decided), range(30), strict=False)}  # type: ignore[union-attr]
        assert decided == {"gate", "shelf", "yard"}
        assert device.teach("open").place == device.name == "gate", "without a name the first"
        assert device.places["shelf"].teach("cup").place == "shelf"
        assert device.places["yard"].teach("closed").place == "yard"
        assert {name: place.classes() for name, place in device.places.items()} == known
        device.places["shelf"].undo()
        assert device.places["shelf"].classes() == {}
        device.places["shelf"].teach("cup")
        assert device.places["yard"].status().camera == "good"
    assert (tmp_path / "groups" / "shelf" / "examples.sqlite").is_file()
    moved = replace(several, places=places[::-1])
    with Device(tmp_path, camera=SIM, config=moved) as device:
        assert {name: place.classes() for name, place in device.places.items()} == known
    with pytest.raises(InputError, match="closed"):
        device.places["shelf"].classes()


def test_a_camera_that_is_not_there_leaves_the_places_of_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder of pictures, which as the only camera would be an error."""
    folder = tmp_path / "pictures"
    places = (PlaceConfig(name="gate"), PlaceConfig(name="yard", camera="back"))
    back = NamedCameraConfig(name="back", uri=f"dir:{folder}")
    spare = NamedCameraConfig(name="spare", uri="rtsp://me:s3cret@yard/1")
    several = replace(config(), places=places, cameras=(back, spare))
    with Device(tmp_path / "state", camera=SIM, config=several) as device:
        assert next(next_of(device, Decided)).place == "gate"  # type: ignore[union-attr]
        assert device.places["yard"].status().camera == "reopening"
        folder.mkdir()
        (folder / "a.png").write_bytes(picture("red", 1))
        assert any(event.place == "yard" for event in next_of(device, Decided))  # type: ignore[union-attr]
    told = [dict(record.fields) for record in caplog.records if record.getMessage() == "camera_unused"]
    assert [(one["name"], one["camera"]) for one in told] == [("spare", "rtsp://me:***@yard/1")]
    with pytest.raises(DeviceError, match="pictures"):
        Device(tmp_path / "state", camera=f"dir:{tmp_path}/pictures2", config=config()).start()


def test_events_are_drawn_as_the_model_takes_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = EncoderConfig(model=str(write_tiny(tmp_path / "models", colour="red-blue")))
    places = tuple(PlaceConfig(name=name, camera=name) for name in ("one", "two", "three"))
    uris = ("events:sim:fps=30", "events:sim:fps=30,colours=grey", SIM)
    cameras = tuple(NamedCameraConfig(name=place.name, uri=uri) for place, uri in zip(places, uris, strict=True))
    corner = {}
    with Device(
        tmp_path / "state", config=replace(config(), encoder=encoder, places=places, cameras=cameras)
    ) as device:
        for event in device.events(Decided):
            frame = device.places[event.place]._place.recent.numbered(event.sequence)  # type: ignore[union-attr]
            if frame is not None:
                corner[event.place] = frame.image[0, 0].tolist()  # type: ignore[union-attr]
            if len(corner) == 3:
                break
    assert (corner["one"], corner["two"]) == ([0, 0, 0], [128, 128, 128])
    told = [dict(record.fields) for record in caplog.records if record.getMessage() == "camera_unsuited"]
    assert [(one["name"], one["camera"], one["model"]) for one in told] == [
        ("two", uris[1], "tiny"),
        ("three", SIM, "tiny"),
    ]
    assert "it draws events in grey" in told[0]["reason"]
    assert "it shows pictures" in told[1]["reason"]


def test_what_a_device_with_one_place_knew_stays_with_its_first_group(tmp_path: Path) -> None:
    with Device(tmp_path, camera=SIM, config=config()) as device:
        device.teach("shape")
    places = (PlaceConfig(name="left", region=(0, 0, 0.5, 1)), PlaceConfig(name="right", region=(0.5, 0, 0.5, 1)))
    with Device(tmp_path, camera=SIM, config=replace(config(), places=places)) as device:
        assert {name: place.classes() for name, place in device.places.items()} == {"left": {"shape": 1}, "right": {}}
    with Device(tmp_path, camera=SIM, config=config()) as device:
        assert device.classes() == {"shape": 1}


def test_a_state_of_before_there_were_places_is_that_of_the_first_group(tmp_path: Path) -> None:
    """The fixture was made by the last version without places: examples, and a history of one visit."""
    shutil.copytree(ONE_PLACE, tmp_path, dirs_exist_ok=True)
    known = {"shape": 1, "red": 2, "blue": 2}
    places = (PlaceConfig(name="left", region=(0, 0, 0.5, 1)), PlaceConfig(name="right", region=(0.5, 0, 0.5, 1)))
    with Device(tmp_path, camera=SIM, config=replace(config(), places=places)) as device:
        assert {name: place.classes() for name, place in device.places.items()} == {"left": known, "right": {}}
        assert device.classify(picture("red", 3)).decision.label == "red"
        device.places["right"].teach("cup")
    with HistoryStore.reader(history_path(tmp_path)) as history:
        visits = history.page().visits
    assert ("camera", "shape") in {(one.place, one.label) for one in visits}
    with Device(tmp_path, camera=SIM, config=config()) as device:
        assert device.classes() == known, "without places again"


def test_a_function_is_a_camera_and_its_end_ends_the_events(tmp_path: Path) -> None:
    frames = Frames()
    with Device(tmp_path, camera=frames, config=config()) as device:
        stream = device.events()
        next(stream)
        frames.ended.set()
        assert [event.what for event in stream if isinstance(event, Health)] == ["recording_ended"]
        assert not device.running
        assert device.failure is None


def test_a_function_is_the_camera_of_the_configuration_whichever_place_is_first(tmp_path: Path) -> None:
    places = (PlaceConfig(name="gate", camera="yard"), PlaceConfig(name="bench"))
    several = replace(config(), places=places, cameras=(NamedCameraConfig(name="yard", uri=SIM),))
    frames = Frames()
    with Device(tmp_path, camera=frames, config=several) as device:
        stream = device.events()
        assert {event.place for event, _ in zip(next_of(device, Decided), range(30), strict=False)} == {"gate", "bench"}  # type: ignore[union-attr]
        frames.ended.set()
        ended = next(event for event in stream if isinstance(event, Health) and event.what == "recording_ended")
        assert ended.camera == "camera"
        assert device.running, "the yard's goes on"


def test_a_function_that_fails_is_a_fault_of_the_camera_and_for_good_the_end_of_the_device(tmp_path: Path) -> None:
    frames = Frames()
    settings = replace(config(), camera=CameraConfig(give_up_after_s=1))
    with Device(tmp_path, camera=frames, config=settings) as device:
        health = device.events(Health)
        next(device.events(Decided))
        frames.fails = RuntimeError("no lens")
        fault = next(health)
        assert isinstance(fault, Health)
        assert "no lens" in str(fault.fields["reason"])
        with pytest.raises(CameraLost, match="no usable frame for 1 s"):
            list(health)
        assert not device.running
        assert isinstance(device.failure, CameraLost)


def test_closing_ends_a_reader_that_waits(tmp_path: Path) -> None:
    device = Device(tmp_path, camera=SIM, config=config())
    ended = threading.Event()

    stream = device.events(Rejected)

    def read() -> None:
        assert list(stream) == []
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    device.close()
    device.close()
    assert ended.wait(30)
    reader.join()
    for use in (device.undo, device.classes, device.status, lambda: device.teach("mug"), device.events):
        with pytest.raises(InputError, match="the device is closed"):
            use()


def test_nothing_stays_open_if_it_cannot_start(tmp_path: Path) -> None:
    for camera in ("v4l2:/dev/none", "dir:" + str(tmp_path / "none")):
        with pytest.raises((DeviceError, InputError)):
            Device(tmp_path / "state", camera=camera, config=config())
    with pytest.raises(InputError, match="camera is int, expected a URI"):
        Device(tmp_path / "state", camera=7, config=config())  # type: ignore[arg-type]
    with Device(tmp_path / "state", camera=SIM, config=config()) as device:  # the folder is not locked
        assert device.running


def test_it_serves_the_page_on_request(tmp_path: Path) -> None:
    settings = Config(consolidation=ConsolidationConfig(enabled=False), web=WebConfig(enabled=True, port=0))
    with Device(tmp_path, camera=SIM, config=settings) as device:
        assert device.url is not None
        assert device.url.startswith("http://")


def test_a_slow_reader_loses_decisions_and_no_press() -> None:
    stream = EventStream((), lambda: True, lambda: None)
    stream.add(Taught(1, "mug", None, 0.0, "me", 1, 7))
    for number in range(MOST_WAITING + 5):
        stream.add(decided("mug", number))
    found = list(stream)
    assert len(found) == MOST_WAITING
    assert isinstance(found[0], Taught)
    assert isinstance(found[-1], Decided)
    assert found[-1].sequence == MOST_WAITING + 4
    stream.close()


def test_a_camera_that_is_a_function_keeps_to_the_interface() -> None:
    pictures = [np.full((4, 6, 3), 7, np.uint8), "no picture", None]
    camera = FunctionCamera(lambda: pictures.pop(0), MonotonicClock())  # type: ignore[return-value, arg-type]
    assert isinstance(camera, Camera)
    with pytest.raises(DeviceError, match="closed"):
        camera.read(1)
    with camera:
        source = pictures[0]
        frame = camera.read(1)
        assert frame is not None
        source[:] = 9  # type: ignore[index]
        assert frame.image.max() == 7
        assert not frame.image.flags.writeable
        with pytest.raises(DeviceError, match="a frame is str, expected an array"):
            camera.read(1)
        assert camera.read(1) is None
        with pytest.raises(DeviceError, match="failed: IndexError"):
            camera.read(1)


def test_the_public_names_are_those_of_the_stub_and_of_the_documentation() -> None:
    package = Path(edge_app.__file__).parent
    stub = (package / "__init__.pyi").read_text(encoding="utf-8")
    wanted = [f"from {module} import {name} as {name}" for name, module in edge_app.PUBLIC.items()]
    assert sorted(line for line in stub.splitlines() if line.startswith("from")) == sorted(wanted)
    documented = (package.parent / "docs" / "python.md").read_text(encoding="utf-8").split("## Names that stay")[1]
    assert [f"`{name}`" for name in sorted(edge_app.PUBLIC, key=str.lower)] == sorted(
        documented.split("\n\n")[2].replace("\n", " ").strip().split(", "), key=str.lower
    )
    for name in edge_app.PUBLIC:
        assert getattr(edge_app, name) is getattr(importlib.import_module(edge_app.PUBLIC[name]), name)
    assert set(edge_app.PUBLIC) <= set(dir(edge_app))
    with pytest.raises(AttributeError, match="has no attribute 'Clasifier'"):
        edge_app.Clasifier  # noqa: B018
