"""Video files: their pace, and codecs that cannot be decoded."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import DeviceError
from edge_app.simulation.devices import SimulatedClock

MS = NS_PER_S // 1000


def element(identifier: str, data: bytes) -> bytes:
    """An element of EBML, with a length of eight bytes."""
    return bytes.fromhex(identifier) + struct.pack(">Q", len(data) | 1 << 56) + data


def number(identifier: str, value: int) -> bytes:
    return element(identifier, struct.pack(">I", value))


def save_matroska(path: Path, times_ms: list[int]) -> Path:
    """Save a Matroska file as recorders write it: no declared rate, frames when they were taken."""
    blocks = b""
    for index, time_ms in enumerate(times_ms):
        image = np.full((48, 64, 3), 10 + 20 * index, np.uint8)
        data = cv2.imencode(".jpg", image)[1].tobytes()
        blocks += element("a3", b"\x81" + struct.pack(">h", time_ms) + b"\x80" + data)
    head = element(
        "1a45dfa3",
        number("4286", 1)
        + number("42f7", 1)
        + number("42f2", 4)
        + number("42f3", 8)
        + element("4282", b"matroska")
        + number("4287", 2)
        + number("4285", 2),
    )
    info = element("1549a966", number("2ad7b1", 1_000_000) + element("4d80", b"test") + element("5741", b"test"))
    video = element("e0", number("b0", 64) + number("ba", 48))
    track = number("d7", 1) + number("73c5", 1) + number("83", 1) + element("86", b"V_MJPEG") + video
    segment = info + element("1654ae6b", element("ae", track)) + element("1f43b675", number("e7", 0) + blocks)
    path.write_bytes(head + element("18538067", segment))
    return path


def test_frames_come_when_their_time_stamps_say(tmp_path: Path) -> None:
    times = [0, 30, 70, 95, 160, 400]
    path = save_matroska(tmp_path / "v.mkv", times)
    clock = SimulatedClock()
    with open_camera(f"file:{path}", clock) as camera:
        start = clock.monotonic_ns()
        frames = [camera.read(1.0) for _ in times]
        assert [frame.time_ns - start for frame in frames] == [time * MS for time in times]
        assert [round(int(frame.image[0, 0, 0]) / 20 - 0.5) for frame in frames] == [0, 1, 2, 3, 4, 5]
        assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4, 5]
        assert camera.dropped == 0
        assert camera.read(1.0) is None


def test_a_slow_reader_gets_the_newest_frame_that_is_due(tmp_path: Path) -> None:
    path = save_matroska(tmp_path / "v.mkv", [0, 30, 70, 95, 160, 400])
    clock = SimulatedClock()
    with open_camera(f"file:{path}", clock) as camera:
        camera.read(1.0)
        clock.advance(0.1)
        frame = camera.read(1.0)
        assert frame.sequence == 3
        assert round(int(frame.image[0, 0, 0]) / 20 - 0.5) == 3
        assert camera.dropped == 2


@pytest.mark.parametrize("options", ["", "?fps=20"])
@pytest.mark.parametrize("late_s", [0.5, 60.0])
def test_the_last_frame_is_shown_however_late_the_reader_is(tmp_path: Path, late_s: float, options: str) -> None:
    path = save_matroska(tmp_path / "v.mkv", [0, 30, 70])
    clock = SimulatedClock()
    with open_camera(f"file:{path}{options}", clock) as camera:
        clock.advance(late_s)
        frame = camera.read(1.0)
        assert (round(int(frame.image[0, 0, 0]) / 20 - 0.5), frame.sequence, camera.dropped) == (2, 2, 2)
        assert camera.read(1.0) is None


def test_a_rate_that_is_asked_for_replaces_the_time_stamps(tmp_path: Path) -> None:
    path = save_matroska(tmp_path / "v.mkv", [0, 30, 70, 95])
    clock = SimulatedClock()
    with open_camera(f"file:{path}?fps=10", clock) as camera:
        start = clock.monotonic_ns()
        assert [camera.read(1.0).time_ns - start for _ in range(4)] == [0, 100 * MS, 200 * MS, 300 * MS]


def test_a_loop_goes_on_at_the_same_pace(tmp_path: Path) -> None:
    path = save_matroska(tmp_path / "v.mkv", [0, 30, 70])
    clock = SimulatedClock()
    with open_camera(f"file:{path}?loop=yes", clock) as camera:
        start = clock.monotonic_ns()
        frames = [camera.read(1.0) for _ in range(6)]
    assert [frame.time_ns - start for frame in frames] == [0, 30 * MS, 70 * MS, 110 * MS, 140 * MS, 180 * MS]
    assert [round(int(frame.image[0, 0, 0]) / 20 - 0.5) for frame in frames] == [0, 1, 2, 0, 1, 2]


def test_time_stamps_that_go_back_or_leap_are_not_waited_for(tmp_path: Path) -> None:
    path = save_matroska(tmp_path / "v.mkv", [0, 40, 30_000, 20, 60])
    clock = SimulatedClock()
    with open_camera(f"file:{path}", clock) as camera:
        start = clock.monotonic_ns()
        times = [camera.read(30.0).time_ns - start for _ in range(5)]
    assert times == sorted(times)
    assert times[-1] < 12 * NS_PER_S


def test_a_codec_that_cannot_be_decoded_is_named_with_the_way_out() -> None:
    """av1.mkv: `ffmpeg -f lavfi -i color=red:size=64x48:rate=10:duration=0.3 -c:v libaom-av1 av1.mkv`."""
    video = Path(__file__).with_name("av1.mkv")
    with pytest.raises(DeviceError, match=r"no frame that OpenCV can decode; it is av01\.") as error:
        open_camera(f"file:{video}", SimulatedClock())
    assert "ffmpeg -i av1.mkv -c:v libx264" in str(error.value)
