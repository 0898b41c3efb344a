"""Event cameras read live, with a stand-in of the maker's library: what it may do, and what becomes of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge_app.config import CameraConfig
from edge_app.devices import live_uri, make_camera, metavision, open_camera, unsuited, watched_uri
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.event_helper import MOST_EVENTS, MOST_WAITING, PIPE_BYTES
from edge_app.devices.event_process import EventProcess
from edge_app.devices.live import FrameSource, Packet
from edge_app.devices.metavision import MetavisionCamera
from edge_app.devices.ports import CameraLoss, CameraStalled
from edge_app.errors import DeviceError, InputError, RuntimeMissing
from support.camera_reading import read_until_error, read_until_it_mends
from support.metavision import LIVE, python_with, python_without

CLOCK = MonotonicClock()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the camera's process start late on a busy machine."""
    monkeypatch.setattr(metavision, "START_S", 60.0)


def made(folder: Path, code: str, options: str = "") -> MetavisionCamera:
    camera = make_camera(f"events:metavision?python={python_with(folder, code)}{options}", CLOCK)
    assert isinstance(camera, MetavisionCamera)
    return camera


@contextmanager
def source_of(camera: MetavisionCamera) -> Iterator[FrameSource]:
    """The camera's windows one after the other, without the thread that drops old ones."""
    source = camera._connect()
    try:
        yield source
    finally:
        source.close()


def taken(source: FrameSource, count: int) -> list[Packet]:
    found: list[Packet] = []
    for _ in range(200):
        packet = source.next()
        if packet is not None:
            found.append(packet)
        if len(found) == count:
            return found
    raise AssertionError(f"{len(found)} of {count} windows")


ORDERLY = """
def slices(delta_t):
    assert delta_t == 10_000
    print("a word of the library's on the standard output")
    yield cd()
    yield cd((20_000, 1, 2, True), (20_001, 1, 2, True))
    yield cd((31_000, 3, 4, False))
    yield cd((69_999, 5, 6, True), (70_000, 63, 47, True))
    yield cd((121_000, 0, 0, False))
    hang()
"""


def test_windows_hold_their_events_on_and_off(tmp_path: Path) -> None:
    with source_of(made(tmp_path, ORDERLY)) as source:
        before_ns = CLOCK.monotonic_ns()
        first, second = taken(source, 2)
        assert before_ns < first.time_ns <= second.time_ns <= CLOCK.monotonic_ns()
        assert np.argwhere(first.data.counts).tolist() == [[0, 2, 1], [0, 6, 5], [1, 4, 3]]
        assert first.data.counts[0, 2, 1] == 2
        assert np.argwhere(second.data.counts).tolist() == [[0, 47, 63]]
        image = source.decode(first.data)
        assert image.shape == (48, 64, 3)
        assert [int(image[y, x, 0]) for y, x in ((2, 1), (4, 3), (0, 0))] == [158, 113, 128]
        # the third is not complete, and the library is silent: time to look whether to stop
        assert source.next() is None


def test_windows_of_a_number_of_events(tmp_path: Path) -> None:
    with source_of(made(tmp_path, ORDERLY, ",events=2,colours=red-blue")) as source:
        found = taken(source, 3)
        assert [int(one.data.counts.sum()) for one in found] == [2, 2, 2]
        assert source.decode(found[0].data)[2, 1].tolist() == [0, 0, 192]


def test_a_short_window_asks_for_short_slices(tmp_path: Path) -> None:
    code = "def slices(delta_t):\n    yield cd((0, 1, 1, 1), (delta_t, 1, 1, 1))\n    hang()\n"
    with source_of(made(tmp_path, code, ",window=2ms")) as source:
        assert int(taken(source, 1)[0].data.counts.sum()) == 1
    code = "def slices(delta_t):\n    raise RuntimeError(f'slices of {delta_t}')\n    yield\n"
    with (
        pytest.raises(DeviceError, match="slices of 2000"),
        source_of(made(tmp_path / "2", code, ",window=2ms")) as one,
    ):
        taken(one, 1)


def test_a_long_pause_costs_two_pictures_and_the_others_are_counted(tmp_path: Path) -> None:
    code = "def slices(delta_t):\n    yield cd((0, 1, 1, 1))\n    yield cd((5_020_000, 1, 1, 1))\n    hang()\n"
    with source_of(made(tmp_path, code)) as source:
        assert [(int(one.data.counts.sum()), one.missed) for one in taken(source, 2)] == [(1, 98), (0, 0)]
        assert source.next() is None


def test_a_clock_that_was_set_back_goes_on(tmp_path: Path) -> None:
    code = """
def slices(delta_t):
    yield cd((9_000_000, 1, 1, 1))
    yield cd((5, 2, 2, 1))
    yield cd((60_000, 3, 3, 1))
    hang()
"""
    with source_of(made(tmp_path, code)) as source:
        (window,) = taken(source, 1)
        assert np.argwhere(window.data.counts).tolist() == [[0, 1, 1], [0, 2, 2]]


def test_the_serial_number_reaches_the_library(tmp_path: Path) -> None:
    code = "def opened(input_path):\n    raise OSError(f'Failed to open camera {input_path!r} !')\n"
    python = python_with(tmp_path, code)
    for name, serial in (
        ("metavision", ""),
        ("metavision:", ""),
        ("Metavision:Prophesee:hal:00042", "Prophesee:hal:00042"),
    ):
        uri = f"events:{name}?python={python}"
        with pytest.raises(DeviceError, match=f"open camera '{serial}' !; plug it in, .*platform_info") as error:
            open_camera(uri, CLOCK)
        assert str(error.value).startswith(uri)


def test_without_the_library_the_way_to_install_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing, match=r"No module named 'metavision_core'\): install it \(https://docs\.prop"):
        open_camera(f"events:metavision?python={python_without(tmp_path)}", CLOCK)


def test_a_library_of_another_python_is_missing_too(tmp_path: Path) -> None:
    python = python_with(tmp_path, "raise ImportError('metavision_hal.cpython-39.so: undefined symbol')\n")
    with pytest.raises(RuntimeMissing, match=r"undefined symbol\): .* or name the Python that has it: python=PATH"):
        open_camera(f"events:metavision?python={python}", CLOCK)


def test_a_python_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match=r"cannot start the camera's process: .*python-none"):
        open_camera("events:metavision?python=/usr/bin/python-none", CLOCK)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def slices(delta_t):\n    yield cd((0, 1, 1, 1))\n", "the camera was unplugged or stopped; check its cable"),
        (
            "def slices(delta_t):\n    yield cd((0, 1, 1, 1))\n    raise RuntimeError('Error 1:\\n libusb')\n",
            "the camera failed: Error 1: libusb; check its cable",
        ),
        ("def slices(delta_t):\n    yield np.zeros(3)\n", "fields of plain numbers, expected t, x, y and p"),
        (
            "def slices(delta_t):\n    yield np.zeros(3, [('x', '<u2'), ('t', '<i8')])\n",
            "the events have the fields x, t, expected",
        ),
        ("def slices(delta_t):\n    yield None\n", "the camera failed: 'NoneType' object"),
        ("def slices(delta_t):\n    yield cd()\n    os.abort()\n", "the camera's process ended"),
        ("def slices(delta_t):\n    yield cd()\n    os.write(2, b'panic\\n')\n    os._exit(3)\n", "it said: panic"),
    ],
)
def test_a_camera_that_is_gone_or_fails_is_told_and_opens_again(code: str, reason: str, tmp_path: Path) -> None:
    camera = made(tmp_path, code)
    for _ in range(2):
        with camera:
            error = read_until_error(camera, 60.0)
            assert not isinstance(error, CameraStalled)
            assert reason in str(error)
            assert str(error).startswith("events:metavision?")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("size = (None, None)\n", r"its picture has \[None, None\] pixels"),
        ("size = (0, 9999)\n", r"its picture has \[9999, 0\] pixels"),
        ("def opened(input_path):\n    os._exit(1)\n", "the camera's process ended"),
    ],
)
def test_what_is_wrong_with_a_camera_that_opens(code: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=reason):
        made(tmp_path, "def slices(delta_t):\n    yield cd()\n" + code).open()


def test_a_library_that_hangs_while_it_opens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metavision, "START_S", 0.5)
    with pytest.raises(DeviceError, match=r"the camera is not ready after 0\.5 s"):
        made(tmp_path, "def opened(input_path):\n    hang()\n").open()


def test_a_program_that_says_something_else_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 1\n")
    program.chmod(0o755)
    with pytest.raises(DeviceError, match=r"the camera's process said b'1"):
        open_camera(f"events:metavision?python={program}", CLOCK)
    program.write_text("""#!/bin/sh\necho '{"size": [64, 48]}'\nprintf '\\377\\377\\377\\377\\377\\377\\377\\177'\n""")
    with open_camera(f"events:metavision?python={program}", CLOCK) as camera:
        assert "the camera's process sent a packet of 9223372036854775807 events" in str(read_until_error(camera, 60.0))


def test_silence_is_a_stall_and_the_camera_can_be_closed_and_opened_again(tmp_path: Path) -> None:
    """The first time the library is silent from the start on, the second time it delivers."""
    code = LIVE.replace(
        "    start =", "    if not os.path.exists('once'):\n        open('once', 'w')\n        hang()\n    start ="
    )
    camera = made(tmp_path, code.replace("'once'", repr(str(tmp_path / "once"))))
    with camera:
        error = read_until_error(camera, 0.3)
        assert isinstance(error, CameraStalled)
        assert "no frame within 0.3 s" in str(error)
    with camera:
        read_until_it_mends(camera, 60.0)


def test_a_process_that_stands_still_can_be_closed(tmp_path: Path) -> None:
    camera = made(tmp_path, LIVE)
    camera.open()
    assert camera.read(60.0)
    assert camera._feed is not None
    pid = camera._feed.source.pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(read_until_error(camera, 0.3), CameraStalled)
    camera.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


BURST = """
import resource

SLICE = np.zeros(100_000, EventCD)
SLICE["x"], SLICE["p"] = np.arange(100_000) % 64, 1

def slices(delta_t):
    yield cd((0, 1, 1, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(200):
        SLICE["t"] = i * delta_t + np.arange(100_000) // 10
        yield SLICE
    with open(GATE, "w") as gate:
        gate.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
    with open(GATE) as gate:
        gate.read()
    yield cd((200 * delta_t, 1, 1, 1))
"""


def test_a_burst_that_nobody_reads_is_dropped_in_packets_and_counted(tmp_path: Path) -> None:
    """Twenty million events; the gate says when the library has handed out all of them, and lets it go on."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    python = python_with(tmp_path, f"GATE = {str(gate)!r}\n{BURST}")
    with EventProcess(python, ["camera", "", "10000"]) as process:
        assert process.head(60.0) == {"size": [64, 48]}
        grown_kb = int(gate.read_text())
        lengths: list[int] = []
        # what waits, before the last slice
        while sum(lengths) < MOST_WAITING * MOST_EVENTS // 2:
            packet = process.next(60.0)
            assert packet is not None
            lengths.append(len(packet.t))
        gate.write_text("go on")
        while (packet := process.next(60.0)) is not None:
            lengths.append(len(packet.t))
        assert process.ended
    assert sum(lengths) + process.lost == 20_000_002
    assert process.lost > 15_000_000
    # what waited, what was being written, and what the pipe held
    assert sum(lengths) * 13 <= (MOST_WAITING + 2) * MOST_EVENTS * 13 + PIPE_BYTES
    assert grown_kb < 100_000


def test_lost_events_are_told_once(tmp_path: Path) -> None:
    code = """
def slices(delta_t):
    for i in itertools.count():
        yield cd((i * delta_t, 1, 1, 1), (i * delta_t, 64, 1, 1), (max(0, i * delta_t - 1), 1, 1, 1))
"""
    losses = []
    with made(tmp_path, code) as camera:
        for _ in range(30):
            try:
                assert camera.read(60.0)
            except CameraLoss as error:
                losses.append(str(error))
    assert len(losses) == 1
    assert "events were left out so far: " in losses[0]
    assert "lie outside the 64 x 48 pixels" in losses[0]


@pytest.mark.parametrize(
    ("uri", "live"),
    [
        ("events:metavision", "metavision:"),
        ("events:metavision:", "metavision:"),
        ("EVENTS:Metavision:0042?window=1s", "metavision:0042?window=1s"),
        ("events:metavision?python=/a:b", "metavision:?python=/a:b"),
        ("events:metavision.raw", ""),
        ("events:./metavision:1.raw", ""),
        ("events:sim", ""),
        ("metavision:", ""),
    ],
)
def test_the_uri_of_an_event_camera(uri: str, live: str) -> None:
    assert live_uri(uri) == live
    if live:
        assert watched_uri(uri) == live
        assert not CameraConfig(uri=uri).recording


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (":/etc/passwd", "'/etc/passwd' is no serial number"),
        (":a.raw", r"'a\.raw' is no serial number; `metavision_platform_info` shows it"),
        ("?fps=5", "unknown option 'fps'; known: window, events, colours, python"),
        ("?window=0.1ms", "expected at least 1ms"),
        ("?window=1s,events=5", "expected one of them"),
    ],
)
def test_a_wrong_uri_is_refused(rest: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make_camera(f"events:metavision{rest}", CLOCK)


def test_its_windows_say_how_slow_it_may_be() -> None:
    camera = make_camera("events:metavision?window=4s", CLOCK, stall_after_s=9.0, colours="red-blue")
    assert isinstance(camera, MetavisionCamera)
    assert (camera.period_s, camera.patience_s, camera._colours) == (4.0, 9.0, "red-blue")
    assert make_camera("events:metavision?events=5", CLOCK).period_s == 0
    assert make_camera("events:metavision", CLOCK).repeats
    assert unsuited("events:metavision?colours=grey", "red-blue")
    assert unsuited("events:metavision", "red-blue") is None
