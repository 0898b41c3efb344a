"""Faults of the camera on a simulated clock: noticed, then recovered from with back-off, or given up."""

import threading
from pathlib import Path

import cv2
import pytest

from edge_app.config import CameraConfig, IdleConfig
from edge_app.devices.files import DirectoryCamera
from edge_app.devices.ports import NS_PER_S, CameraLoss
from edge_app.errors import DeviceError
from edge_app.messages import Frame
from edge_app.pipeline.capture import Capture, Outlet
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.stage import CameraLost
from edge_app.simulation.devices import Fault, SimulatedCamera, SimulatedClock
from support.configs import quiet_config
from support.pipeline_parts import ColourScene, Reports, colour

FPS = 10


class Rig:
    """A capture stage before a simulated camera."""

    def __init__(
        self, *faults: Fault, config: CameraConfig | None = None, fps: float = FPS, opened: bool = True
    ) -> None:
        self.clock = SimulatedClock()
        self.start_ns = self.clock.monotonic_ns()
        self.reports = Reports()
        self.frames = Latest[Frame]()
        self.recent = RecentFrames()
        self.camera = SimulatedCamera(ColourScene(), self.clock, fps=fps, faults=faults)
        if opened:
            self.camera.open()
        self.pace = Pace(quiet_config(idle=IdleConfig(3, 2)), self.clock, self.reports)
        self.capture = Capture(
            self.camera,
            [Outlet(self.frames, self.pace)],
            self.recent,
            self.clock,
            threading.Event(),
            self.reports,
            config or CameraConfig(),
            opened=opened,
        )
        self.seen: list[Frame] = []

    @property
    def seconds(self) -> float:
        return (self.clock.monotonic_ns() - self.start_ns) / NS_PER_S

    def run(self, until_s: float) -> None:
        while self.seconds < until_s:
            before_ns = self.clock.monotonic_ns()
            assert self.capture.step()
            assert self.clock.monotonic_ns() - before_ns <= self.capture.longest_wait_s * NS_PER_S
            if (frame := self.frames.take(0)) is not None:
                self.seen.append(frame)


def test_a_good_camera_is_passed_on_frame_by_frame_without_a_word() -> None:
    rig = Rig()
    rig.run(5)
    assert [frame.sequence for frame in rig.seen] == list(range(len(rig.seen)))
    assert len(rig.seen) == rig.capture.captured >= 5 * FPS
    assert rig.reports.told == []
    assert rig.capture.state == "good"


def test_newest_frame_wins_and_drops_are_counted() -> None:
    rig = Rig()
    for _ in range(3):
        rig.capture.step()
    rig.clock.advance(0.55)
    rig.capture.step()
    assert rig.frames.take(0).sequence == 7
    assert rig.capture.dropped == rig.camera.dropped + 3 == 7
    assert rig.capture.captured == 4


def test_a_picture_that_stands_still_is_looked_at_less_often_and_at_once_again_when_it_changes() -> None:
    rig = Rig()
    rig.run(1)
    awake = len(rig.seen)
    rig.pace.saw(0, True)
    rig.pace.saw(9 * NS_PER_S, False)
    rig.run(5)
    assert awake == FPS + 1
    assert len(rig.seen) - awake == pytest.approx(4 * 2, abs=1)
    assert rig.capture.dropped == 0, "nobody wanted those frames"
    assert rig.camera.dropped > 20
    watched = len(rig.seen)
    rig.pace.saw(10 * NS_PER_S, True)
    rig.run(6)
    assert len(rig.seen) - watched == pytest.approx(FPS, abs=1)


def test_a_camera_that_is_absent_at_the_start_is_tried_until_it_opens() -> None:
    rig = Rig(Fault("unplug", 0, 2), opened=False)
    assert (rig.capture.absent, rig.capture.state) == (True, "reopening")
    rig.run(5)
    assert (rig.capture.absent, rig.capture.state) == (False, "good")
    assert rig.reports.events == ["camera_absent", "camera_absent", "camera_reopened"]
    assert rig.seen


def test_a_stalled_camera_is_opened_again_and_goes_on() -> None:
    rig = Rig(Fault("stall", 2, 6))
    rig.run(20)
    assert rig.reports.events[:2] == ["camera_fault", "camera_reopened"]
    assert rig.reports.told[0].fields["kind"] == "stalled"
    assert rig.capture.reopened == 1
    gap = max(b.time_ns - a.time_ns for a, b in zip(rig.seen, rig.seen[1:], strict=False))
    assert 6 <= gap / NS_PER_S < 8
    assert rig.seen[-1].time_ns > 19 * NS_PER_S


def test_an_unplugged_camera_is_tried_again_with_growing_pauses() -> None:
    rig = Rig(Fault("unplug", 2, 40))
    rig.run(75)
    assert rig.reports.events[0] == "camera_fault"
    assert rig.reports.told[0].fields["kind"] == "failed"
    absent = rig.reports.events.count("camera_absent")
    assert 4 <= absent <= 7, "pauses of 0.5, 1, 2, 4, 8, 16, 30 s"
    assert rig.reports.events[-1] == "camera_reopened"
    assert rig.capture.state == "good"
    assert rig.seen[-1].time_ns > 74 * NS_PER_S


def test_a_camera_that_stays_away_ends_the_program_with_a_status_of_its_own() -> None:
    rig = Rig(Fault("unplug", 2, float("inf")), config=CameraConfig(give_up_after_s=30))
    with pytest.raises(CameraLost, match=r"sim:: no usable frame for 30 s, reopened 0 times: check its cable") as lost:
        rig.run(120)
    assert lost.value.exit_status == 9
    assert 30 <= rig.seconds < 65


def test_a_camera_that_opens_but_never_delivers_is_given_up_too() -> None:
    rig = Rig(Fault("stall", 2, float("inf")), config=CameraConfig(give_up_after_s=60))
    with pytest.raises(CameraLost):
        rig.run(300)
    assert rig.capture.reopened >= 2
    assert rig.seconds < 130


def test_noise_is_passed_to_nobody_and_mended() -> None:
    rig = Rig(Fault("garbage", 2, 15), config=CameraConfig(stuck_after_s=3))
    rig.run(30)
    noisy = [frame for frame in rig.seen if 3 * NS_PER_S <= frame.time_ns < 18 * NS_PER_S]
    assert noisy == []
    assert rig.reports.told[0].fields["kind"] == "noise"
    assert rig.seen[-1].time_ns > 29 * NS_PER_S


def test_the_same_bytes_again_and_again_are_a_fault_of_a_live_camera() -> None:
    rig = Rig(Fault("repeat", 2, float("inf")), config=CameraConfig(stuck_after_s=3))
    rig.run(10)
    assert rig.reports.told[0].fields["kind"] == "repeated"
    assert rig.capture.reopened >= 1


def test_darkness_is_reported_once_and_the_camera_stays_in_use() -> None:
    rig = Rig(Fault("black", 2, 600), config=CameraConfig(stuck_after_s=3, give_up_after_s=20))
    rig.run(590)
    assert rig.reports.events == ["camera_fault", "camera_reopened"]
    assert rig.reports.told[0].fields["kind"] == "black"
    assert rig.capture.state == "black"
    rig.run(620)
    assert rig.reports.events[-1] == "camera_well"
    assert rig.capture.state == "good"


def test_the_back_off_starts_small_again_after_the_camera_was_well() -> None:
    rig = Rig(Fault("unplug", 2, 20), Fault("unplug", 60, 3))
    rig.run(100)
    last = [frame.time_ns / NS_PER_S - 1 for frame in rig.seen]
    assert any(63 <= time < 66 for time in last), "the second fault was mended soon after it ended"


def test_a_stop_ends_the_wait_before_opening() -> None:
    rig = Rig(Fault("unplug", 0.5, float("inf")))
    rig.run(5)
    rig.capture._stop.set()
    before_ns = rig.clock.monotonic_ns()
    rig.capture.step()
    assert rig.clock.monotonic_ns() == before_ns


def make_recording(folder: Path, good: int, bad: int) -> DirectoryCamera:
    for number in range(good + bad):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), colour("red"))
        if number >= good:
            path.write_bytes(b"no picture")
    return DirectoryCamera(folder, SimulatedClock(), fps=10)


def played(camera: DirectoryCamera, reports: Reports) -> Capture:
    clock = camera._clock
    frames = Latest[Frame]()
    camera.open()
    config, pace = CameraConfig(uri="dir:pictures"), Pace(quiet_config(), clock, reports)
    capture = Capture(camera, [Outlet(frames, pace)], RecentFrames(), clock, threading.Event(), reports, config)
    while capture.step():
        pass
    assert (capture.reopened, capture.state) == (0, "ended")
    return capture


def test_a_recording_ends_and_may_stand_still(tmp_path: Path) -> None:
    reports = Reports()
    assert played(make_recording(tmp_path, 150, 0), reports).captured == 150
    assert reports.events == ["recording_ended"]


def test_a_slow_recording_is_no_fault(tmp_path: Path) -> None:
    camera = make_recording(tmp_path, 3, 0)
    camera._period_ns = 30 * NS_PER_S
    reports = Reports()
    assert played(camera, reports).captured == 3
    assert reports.events == ["recording_ended"]


def test_a_damaged_picture_of_a_recording_is_reported_and_left_out(tmp_path: Path) -> None:
    reports = Reports()
    assert played(make_recording(tmp_path, 3, 4), reports).captured == 3
    assert reports.events == ["picture_unreadable"] * 4 + ["recording_ended"]


def test_a_recording_of_damaged_pictures_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(
        CameraLost, match=r"20 pictures in a row cannot be read; the last error: .*.png is not a picture"
    ):
        played(make_recording(tmp_path, 1, 30), Reports())


def test_a_camera_of_one_picture_in_ten_seconds_is_in_order() -> None:
    rig = Rig(fps=0.1)
    rig.run(100)
    assert rig.capture.captured >= 9
    assert rig.reports.told == []


def test_a_slow_camera_is_reopened_after_three_periods_of_silence() -> None:
    rig = Rig(Fault("stall", 15, 600), fps=0.1)
    rig.run(60)
    fault = next(told for told in rig.reports.told if told[1] == "camera_fault")
    assert fault[2]["kind"] == "stalled"


def test_what_a_camera_lost_is_logged_and_the_camera_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    read = rig.camera.read
    losses = iter([CameraLoss("5 events were left out so far"), *[None] * 100])

    def lossy(timeout_s: float) -> Frame | None:
        if (loss := next(losses)) is not None:
            raise loss
        return read(timeout_s)

    monkeypatch.setattr(rig.camera, "read", lossy)
    rig.run(1)
    assert rig.reports.events == ["camera_loss"]
    assert rig.seen
    assert rig.capture.reopened == 0


class _GivenUp(SimulatedCamera):
    """A camera whose driver has dropped the connection: every read fails at once until it is reopened."""

    broken = False

    def read(self, timeout_s: float) -> Frame | None:
        if self.broken:
            raise DeviceError("camera: no frame within 6 s; the connection was closed")
        return super().read(timeout_s)

    def open(self) -> None:
        self.broken = False
        super().open()


def test_a_connection_that_the_driver_gave_up_is_reopened_whatever_stall_after_s_says() -> None:
    rig = Rig(config=CameraConfig(stall_after_s=600))
    rig.camera = camera = _GivenUp(ColourScene(), rig.clock, fps=FPS)
    camera.open()
    config = CameraConfig(stall_after_s=600)
    rig.capture = Capture(
        camera, [Outlet(rig.frames, rig.pace)], rig.recent, rig.clock, threading.Event(), rig.reports, config
    )
    rig.run(1)
    camera.broken = True
    steps = 0
    while rig.capture.reopened == 0:
        rig.capture.step()
        steps += 1
    assert steps < 20, "it spins"
    rig.run(rig.seconds + 1)
    assert rig.capture.state == "good"
