"""One suite over every camera that plays at the clock's pace; what delivers by itself: test_live_camera_contract.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import CAMERAS, event_files, open_camera
from edge_app.devices.ports import NS_PER_S, Camera, CameraStalled
from edge_app.devices.uri import OPTION_MARKS
from edge_app.errors import DeviceError, InputError
from edge_app.simulation.devices import SimulatedClock
from support.event_files import moving_bar, save

FPS = 10


def picture(index: int) -> np.ndarray:
    """A picture that tells its number: red above blue (RGB), and a grey block that is lighter in each."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :, 0] = 250
    image[24:, :, 2] = 250
    image[16:32, 16:48] = 40 + 20 * index
    return image


def make_sim(folder: Path) -> str:
    return f"sim:scene=shapes,size=64x48,fps={FPS}"


def make_dir(folder: Path) -> str:
    for index in range(10):
        cv2.imwrite(str(folder / f"{index + 1}.png"), picture(index)[:, :, ::-1])
    return f"dir:{folder}?fps={FPS}"


def make_file(folder: Path) -> str:
    path = folder / "video.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (64, 48))
    if not video.isOpened():
        pytest.skip("this OpenCV cannot write a video")
    for index in range(10):
        video.write(np.ascontiguousarray(picture(index)[:, :, ::-1]))
    video.release()
    return f"file:{path}"


def make_events(folder: Path) -> str:
    pytest.importorskip("faery")
    return f"events:{save(folder, 'evt3', moving_bar(1000))}?window=100ms"


MAKERS: dict[str, Callable[[Path], str]] = {
    "sim": make_sim,
    "dir": make_dir,
    "file": make_file,
    "events": make_events,
    "events of frames": lambda folder: f"events:sim:size=64x48,fps={FPS},scene=shapes",
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the decoder's process start late on a busy machine."""
    monkeypatch.setattr(event_files, "PATIENCE_S", 60.0)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture(params=sorted(MAKERS))
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return MAKERS[request.param](tmp_path)


@pytest.fixture
def camera(uri: str, clock: SimulatedClock) -> Iterator[Camera]:
    with open_camera(uri, clock) as opened:
        yield opened


def test_is_a_camera_and_knows_its_uri(camera: Camera, uri: str) -> None:
    assert isinstance(camera, Camera)
    assert camera.uri == uri


def test_frames_have_the_agreed_form(camera: Camera) -> None:
    frame = camera.read(1.0)
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert not frame.image.flags.writeable


def test_frames_come_at_the_rate_with_times_and_numbers(camera: Camera, clock: SimulatedClock) -> None:
    start = clock.monotonic_ns()
    frames = [camera.read(1.0) for _ in range(5)]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_ns - start for frame in frames] == [index * NS_PER_S // FPS for index in range(5)]
    assert camera.dropped == 0


def test_newest_frame_wins_and_the_missed_ones_are_counted(camera: Camera, clock: SimulatedClock) -> None:
    camera.read(1.0)
    clock.advance(0.55)
    frame = camera.read(1.0)
    assert frame.sequence == 5
    assert clock.monotonic_ns() - frame.time_ns < NS_PER_S // FPS
    assert camera.dropped == 4


def test_no_frame_in_time_is_a_stall_that_names_the_camera(camera: Camera, clock: SimulatedClock, uri: str) -> None:
    camera.read(1.0)
    start = clock.monotonic_ns()
    with pytest.raises(CameraStalled, match=r"no frame within 0\.05 s") as error:
        camera.read(0.05)
    # frames made into events: the frame camera is named
    assert uri.removeprefix("events:sim:") in str(error.value)
    assert clock.monotonic_ns() - start == NS_PER_S // 20
    assert camera.read(1.0).sequence == 1


def test_a_closed_camera_cannot_be_read_and_can_be_opened_again(camera: Camera) -> None:
    first = camera.read(1.0)
    camera.close()
    camera.close()
    with pytest.raises(DeviceError, match="closed"):
        camera.read(1.0)
    with camera as opened:
        again = opened.read(1.0)
        assert again.image.shape == first.image.shape
        assert again.sequence > first.sequence
    with pytest.raises(DeviceError, match="closed"):
        camera.read(1.0)


def test_opening_twice_does_not_start_again(camera: Camera) -> None:
    camera.read(1.0)
    camera.open()
    assert camera.read(1.0).sequence == 1


@pytest.mark.parametrize("scheme", sorted(MAKERS))
def test_two_runs_see_the_same_frames(scheme: str, tmp_path: Path) -> None:
    uri = MAKERS[scheme](tmp_path)
    runs = []
    for _ in range(2):
        with open_camera(uri, SimulatedClock()) as camera:
            runs.append([camera.read(1.0) for _ in range(4)])
    for one, other in zip(*runs, strict=True):
        assert one[1:] == other[1:]
        assert np.array_equal(one.image, other.image)


@pytest.mark.parametrize("scheme", ["dir", "file"])
def test_recordings_are_rgb_in_order_and_end(scheme: str, tmp_path: Path, clock: SimulatedClock) -> None:
    with open_camera(MAKERS[scheme](tmp_path), clock) as camera:
        images = [camera.read(1.0).image for _ in range(10)]
        assert camera.read(1.0) is None
        assert camera.read(1.0) is None
    assert images[0][4, 4, 0] > 200 > 50 > images[0][4, 4, 2]
    greys = [int(image[24, 32, 1]) for image in images]
    assert greys == sorted(greys)
    assert greys[-1] - greys[0] > 150


@pytest.mark.parametrize("scheme", ["dir", "file", "events"])
def test_recordings_loop_on_request(scheme: str, tmp_path: Path, clock: SimulatedClock) -> None:
    uri = MAKERS[scheme](tmp_path)
    with open_camera(uri + (",loop=yes" if "?" in uri else "?loop=yes"), clock) as camera:
        images = [camera.read(1.0).image for _ in range(13)]
    assert np.array_equal(images[0], images[10])
    assert np.array_equal(images[2], images[12])
    assert not np.array_equal(images[0], images[2])


@pytest.mark.parametrize("scheme", sorted(CAMERAS))
def test_an_unknown_option_names_the_known_ones(scheme: str, clock: SimulatedClock) -> None:
    mark = OPTION_MARKS.get(scheme, "?")
    uri = "sim:colour=red" if mark == ":" else f"{scheme}:{'//' if mark == '#' else ''}1{mark}colour=red"
    with pytest.raises(InputError, match=r"unknown option 'colour'; known: .*(fps|timeout)"):
        open_camera(uri, clock)


@pytest.mark.parametrize("scheme", ["dir", "file"])
def test_what_is_not_there_cannot_be_opened(scheme: str, tmp_path: Path, clock: SimulatedClock) -> None:
    with pytest.raises(DeviceError, match="nowhere"):
        open_camera(f"{scheme}:{tmp_path}/nowhere", clock)
