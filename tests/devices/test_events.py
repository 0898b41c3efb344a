"""Events as a camera: recordings, samples, and frame cameras."""

import gc
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_app.config import CameraConfig
from edge_app.devices import converted_uri, event_files, event_process, make_camera, open_camera, unsuited, watched_uri
from edge_app.devices.events import EventsOfFrames
from edge_app.devices.ports import NS_PER_S, Camera
from edge_app.errors import DeviceError, InputError
from edge_app.events.differences import FrameDifferences
from edge_app.events.drawing import draw
from edge_app.messages import Frame
from edge_app.simulation.devices import SimulatedClock
from edge_app.simulation.shapes import ShapesScene
from support.event_files import SIZE, Event, evt2, moving_bar, sample, save

MS = NS_PER_S // 1000


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the decoder's process start late on a busy machine."""
    monkeypatch.setattr(event_files, "PATIENCE_S", 60.0)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A second of events, one a millisecond."""
    pytest.importorskip("faery")
    return save(tmp_path, "evt3", moving_bar(1000))


def frames(camera: Camera, most: int = 1000) -> list[Frame]:
    """Read to the end, passing over what is complained of."""
    found: list[Frame] = []
    while len(found) < most:
        try:
            frame = camera.read(10.0)
        except DeviceError:
            continue
        if frame is None:
            break
        found.append(frame)
    return found


def pictures(events: Iterable[Event], start_us: int, end_us: int) -> np.ndarray:
    counts = np.zeros((2, SIZE[1], SIZE[0]), np.int16)
    for t, x, y, on in events:
        if start_us <= t < end_us:
            counts[0 if on else 1, y, x] += 1
    return draw(counts, "grey")


@pytest.mark.parametrize("kind", ["evt2", "evt3", "dat", "aedat4"])
def test_a_frame_shows_the_events_of_its_window(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("faery")
    events = moving_bar(1000)
    clock = SimulatedClock()
    with open_camera(f"events:{save(tmp_path, kind, events)}", clock) as camera:
        start = clock.monotonic_ns()
        found = frames(camera)
    first = events[0][0]
    assert len(found) == 20
    assert [frame.time_ns - start for frame in found] == [i * 50 * MS for i in range(20)]
    for i, frame in enumerate(found):
        assert np.array_equal(frame.image, pictures(events, first + i * 50_000, first + (i + 1) * 50_000))


def test_windows_of_a_number_come_at_the_pace_of_their_events(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    path = tmp_path / "x.raw"
    path.write_bytes(evt2([(t * 1000, 1, 1, True) for t in (0, 10, 20, 21, 22, 23, 423)]))
    clock = SimulatedClock()
    with open_camera(f"events:{path}?events=2", clock) as camera:
        start = clock.monotonic_ns()
        found = frames(camera)
    assert [(frame.time_ns - start) // MS for frame in found] == [0, 11, 13, 413]
    assert [int(frame.image[1, 1, 0]) for frame in found] == [158, 158, 158, 143]


@pytest.mark.parametrize("cut", ["window=100ms", "events=100"])
def test_a_rate_that_is_asked_for_replaces_the_pace(recorded: Path, cut: str) -> None:
    clock = SimulatedClock()
    with open_camera(f"events:{recorded}?{cut},fps=5", clock) as camera:
        start = clock.monotonic_ns()
        assert [frame.time_ns - start for frame in frames(camera)] == [i * 200 * MS for i in range(10)]


@pytest.mark.parametrize("cut", ["window=100ms", "events=100"])
@pytest.mark.parametrize("late_s", [0.55, 60.0])
def test_a_slow_reader_gets_the_newest_window_and_never_misses_the_last(
    recorded: Path, late_s: float, cut: str
) -> None:
    clock = SimulatedClock()
    with open_camera(f"events:{recorded}?{cut}", clock) as camera:
        whole = frames(camera)
    with open_camera(f"events:{recorded}?{cut}", clock) as camera:
        clock.advance(late_s)
        frame = camera.read(1.0)
        expected = 5 if late_s < 1 else 9
        assert (frame.sequence, camera.dropped) == (expected, expected)
        assert np.array_equal(frame.image, whole[expected].image)


@pytest.mark.parametrize("cut", ["window=100ms", "events=100"])
def test_a_loop_goes_on(recorded: Path, cut: str) -> None:
    with open_camera(f"events:{recorded}?{cut},loop=yes", SimulatedClock()) as camera:
        found = frames(camera, 23)
    for i in range(13):
        assert np.array_equal(found[i].image, found[i + 10].image)
    times = [frame.time_ns for frame in found]
    assert all(later - earlier >= 90 * MS for earlier, later in pairwise(times))


DECODER = """
import os, struct
events = [(1000, 1, 1, 1), (900, 2, 2, 1), (2000, 3, 3, 1), (2001, 64, 0, 1)]
columns = [struct.pack(f"<4{kind}", *column) for kind, column in zip("qHH?", zip(*events))]
os.write(1, b'{"size": [64, 48]}\\n' + struct.pack("<q", 4) + b"".join(columns) + bytes(8))
"""


def test_what_is_left_out_is_told_once_and_the_rest_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """faery itself lets no such events through; a later version of it may."""
    path = save(tmp_path, "evt2", [])
    (tmp_path / "decoder.py").write_text(DECODER)
    monkeypatch.setattr(event_process.helper, "__file__", str(tmp_path / "decoder.py"))
    with open_camera(f"events:{path}?loop=yes", SimulatedClock()) as camera:
        with pytest.raises(DeviceError, match=r": 2 events were left out: 1 outside the 64 x 48 pixels, 1 older"):
            [camera.read(1.0) for _ in range(2)]
        images = [camera.read(1.0).image for _ in range(5)]
    for image in images:
        assert [int(image[i, i, 0]) for i in (1, 2, 3)] == [143, 128, 143]


def test_a_damaged_time_that_all_later_events_get_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """faery gives events that are older than the one before its time."""
    path = save(tmp_path, "evt2", [])
    damaged = DECODER.replace("(2001, 64, 0, 1)", "*[(90_000_000, 4, 4, 1)] * 20_000").replace('"<q", 4', '"<q", 20003')
    (tmp_path / "decoder.py").write_text(damaged.replace("<4{kind}", "<20003{kind}"))
    monkeypatch.setattr(event_process.helper, "__file__", str(tmp_path / "decoder.py"))
    with (
        open_camera(f"events:{path}?loop=yes,window=10s", SimulatedClock()) as camera,
        pytest.raises(DeviceError, match=r"the last 20000 events have the same time: a time stamp is damaged"),
    ):
        [camera.read(1.0) for _ in range(3)]


def test_a_recording_that_is_damaged_in_the_middle_is_shown_up_to_there(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    path = tmp_path / "x.raw"
    # more than a buffer of the decoder's before the damage
    good = [(t, t % 64, 1, True) for t in range(60_000)]
    path.write_bytes(evt2([*good, (60_000, 99, 0, True)]))
    complaints = []
    with open_camera(f"events:{path}?window=10ms", SimulatedClock()) as camera:
        found = 0
        for _ in range(20):
            try:
                if camera.read(1.0) is None:
                    break
                found += 1
            except DeviceError as error:
                complaints.append(str(error))
    assert found >= 3
    assert len(complaints) == 1
    assert "x.raw?window=10ms: the rest cannot be decoded" in complaints[0]


def test_a_recording_without_events_cannot_be_opened(tmp_path: Path) -> None:
    pytest.importorskip("faery")
    path = tmp_path / "x.raw"
    path.write_bytes(evt2([]))
    with pytest.raises(DeviceError, match="holds no events"):
        open_camera(f"events:{path}", SimulatedClock())


def test_the_decoder_ends_with_the_camera(recorded: Path) -> None:
    camera = open_camera(f"events:{recorded}", SimulatedClock())
    process = camera._file._process._child._process  # type: ignore[attr-defined]
    camera.close()
    assert process.returncode is not None
    del camera
    gc.collect()


def test_a_sample_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "n01440764_1.npz"
    # moved back by the position after the first jump: x = 0 along the rows, y = 2
    path.write_bytes(sample([[20, 22, 1]], [[30, 32, 1]]))
    clock = SimulatedClock()
    with open_camera(f"events:{path}", clock) as camera:
        frame = camera.read(1.0)
        assert camera.read(1.0) is None
    assert np.argwhere(frame.image[:, :, 0] != 128).tolist() == [[20, 20], [30, 30]]
    assert frame.image[20, 20].tolist() == [143, 143, 143]
    with open_camera(f"events:{path}?loop=yes,colours=red-blue,fps=10", clock) as camera:
        found = [camera.read(1.0).image for _ in range(3)]
    assert found[2][30, 30].tolist() == [128, 0, 0]
    with pytest.raises(InputError, match="unknown option 'window'; known: fps, loop, colours"):
        open_camera(f"events:{path}?window=1s", clock)
    path.write_bytes(b"no zip")
    with pytest.raises(DeviceError, match="not a readable"):
        open_camera(f"events:{path}", clock)


def test_the_frames_of_a_camera_become_their_events() -> None:
    clock = SimulatedClock()
    scene, differences = ShapesScene(seed=3, size=(64, 48)), FrameDifferences(0.3)
    with open_camera("events:sim:seed=3,size=64x48,fps=10,threshold=0.3,colours=red-blue", clock) as camera:
        found = [camera.read(1.0) for _ in range(8)]
    for i, frame in enumerate(found):
        expected = draw(differences.events(scene.image(i * 100 * MS)), "red-blue")
        assert np.array_equal(frame.image, expected)
        assert not frame.image.flags.writeable
    assert not found[0].image.any()
    assert found[1].image.any()


def test_a_camera_that_is_opened_again_begins_anew() -> None:
    clock = SimulatedClock()
    camera = make_camera("events:sim:size=64x48", clock)
    with camera:
        assert len({bytes(camera.read(1.0).image) for _ in range(3)}) == 3
    with camera:
        assert (camera.read(1.0).image == 128).all()


@pytest.mark.parametrize(
    ("uri", "inner", "own"),
    [
        ("events:sim", "sim:scene=shapes", ""),
        ("events:sim:", "sim:scene=shapes", ""),
        ("events:sim:threshold=1", "sim:scene=shapes", "threshold=1"),
        ("events:sim:scene=still,fps=5", "sim:scene=still,fps=5", ""),
        ("EVENTS:v4l2:/dev/video0", "v4l2:/dev/video0", ""),
        ("events:v4l2:/dev/video0?threshold=0.3", "v4l2:/dev/video0", "threshold=0.3"),
        ("events:v4l2:/dev/v?fps=5,threshold=0.3,size=64x48", "v4l2:/dev/v?fps=5,size=64x48", "threshold=0.3"),
        ("events:file:a?b.mp4?colours=grey", "file:a?b.mp4", "colours=grey"),
        ("events:http://h/a?threshold=2#fps=1,threshold=1", "http://h/a?threshold=2#fps=1", "threshold=1"),
        ("events:gst:videotestsrc#colours=grey,threshold=1", "gst:videotestsrc", "colours=grey,threshold=1"),
        ("events:recording.raw", "", ""),
        ("events:sim.raw", "", ""),
        ("events:./sim:1.raw", "", ""),
        ("events:events:a.raw", "", ""),
        ("sim:", "", ""),
    ],
)  # fmt: skip
def test_the_camera_behind_events(uri: str, inner: str, own: str) -> None:
    assert converted_uri(uri) == (inner, own)
    assert watched_uri(uri) == (inner or uri)


def test_the_colours_that_are_asked_for_hold_where_the_uri_says_none(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.npz", SimulatedClock()
    path.write_bytes(sample([[20, 22, 1]], [[30, 32, 1]]))
    for uri in (f"events:{path}", "events:sim:size=64x48"):
        mark = "," if "sim" in uri else "?"
        for asked, said, nothing in (
            ("grey", "", 128),
            ("red-blue", "", 0),
            ("red-blue", f"{mark}colours=grey", 128),
            ("grey", f"{mark}colours=red-blue", 0),
        ):
            with make_camera(uri + said, clock, colours=asked) as camera:
                assert camera.read(1.0).image[0, 0].tolist() == [nothing] * 3
    with make_camera("sim:size=64x48", clock, colours="red-blue") as camera:
        assert camera.read(1.0).image[:, :, 1].any()


def test_a_recording_is_drawn_in_the_colours_that_are_asked_for(recorded: Path) -> None:
    with make_camera(f"events:{recorded}?fps=5", SimulatedClock(), colours="red-blue") as camera:
        image = camera.read(1.0).image
    assert image.any()
    assert not image[:, :, 1].any()


@pytest.mark.parametrize(
    ("uri", "colours", "reason"),
    [
        ("events:a.raw", "grey", None),
        ("events:a.raw", "red-blue", None),
        ("events:a.raw?window=20ms,colours=red-blue", "red-blue", None),
        ("events:a.raw?window=20ms,colours=red-blue", "grey", "draws events in red-blue"),
        ("events:a.npz?colours=grey", "red-blue", "draws events in grey, and the model takes them in red-blue"),
        ("events:sim:colours=grey", "grey", None),
        ("events:sim:colours=grey", "red-blue", "leave colours out"),
        ("events:http://h/a?colours=grey#fps=1", "red-blue", None),
        ("events:http://h/a#fps=1,colours=grey", "red-blue", "leave colours out"),
        ("v4l2:/dev/video0", "grey", None),
        ("v4l2:/dev/video0", "red-blue", "shows pictures, and the model takes events drawn in red-blue"),
    ],
)  # fmt: skip
def test_what_does_not_suit_a_model_is_told(uri: str, colours: str, reason: str | None) -> None:
    found = unsuited(uri, colours)
    assert found is None if reason is None else reason in str(found)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("a.raw?window=0.5ms", "window = '0.5ms': expected at least 1ms"),
        ("a.raw?window=11s", "window = '11s'"),
        ("a.raw?events=0", "events = '0'"),
        ("a.raw?events=1,window=1s", "expected one of them"),
        ("a.raw?colours=pink", "colours = 'pink': expected grey or red-blue"),
        ("a.raw?fps=0", "fps = '0'"),
        ("a.raw?events=1000000000000", "events = '1000000000000': expected 1 to 100000000"),
        ("a.raw?size=4096x4096", "size = '4096x4096': expected at most 4096 each and 4194304 pixels in all"),
        ("a.csv", r"ends in \.raw, \.dat, \.aedat4 or \.npz"),
        ("sim:threshold=0", "threshold = '0'"),
        ("sim:threshold=x", "threshold = 'x'"),
        ("sim:window=1s", "unknown option 'window'"),
        ("nowhere:1", "a recording's name ends in"),
        ("", "names no path"),
    ],
)
def test_a_wrong_uri_is_refused(rest: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make_camera(f"events:{rest}", SimulatedClock())


def test_a_live_camera_behind_events_keeps_its_patience_and_hides_its_password() -> None:
    camera = make_camera("events:http://user:secret@host/a.mjpg#threshold=1", SimulatedClock(), stall_after_s=9.0)
    assert isinstance(camera, EventsOfFrames)
    assert camera.converted.patience_s == 9.0
    assert camera.uri == "events:http://user:***@host/a.mjpg#threshold=1"
    assert camera.repeats


@pytest.mark.parametrize(
    ("uri", "recording"),
    [
        ("events:a.raw", True),
        ("events:a.npz", True),
        ("events:file:a.mp4", True),
        ("events:dir:a", True),
        ("events:sim", False),
        ("events:v4l2:/dev/video0", False),
    ],
)
def test_what_is_a_recording(uri: str, recording: bool) -> None:
    assert CameraConfig(uri=uri).recording == recording
