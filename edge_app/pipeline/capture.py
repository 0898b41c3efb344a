"""The first stage: reads the camera, and reopens it or gives it up when it stalls, fails or delivers garbage."""

import contextlib
import logging
import threading
from collections.abc import Sequence

from edge_app.config import CameraSettings
from edge_app.config.sections import MAIN
from edge_app.devices.ports import NS_PER_S, Camera, CameraLoss, CameraStalled, Clock
from edge_app.errors import DeviceError
from edge_app.messages import Frame, Report
from edge_app.pipeline.inspector import FrameInspector, Verdict, check_form
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.stage import SLICE_S, CameraLost

READ_S = 1.0
OPEN_S = 10.0
"""The longest opening of a driver: a stream over the network needs that long."""
TRIES = 3
"""Failed reads in a row before a live camera is reopened."""
RECORDING_TRIES = 20
"""Unreadable pictures in a row before a recording is given up."""
# doubled from the first to the longest: a loose plug is back at once, a camera that is off is not asked all the time
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
SLOW_PERIODS = 3
EARLY = 0.9
"""Part of the period after which a place whose picture stands still is given a frame."""
STEADY_NS = 10 * NS_PER_S
"""A reopened camera that has worked this long has recovered: the delays start again from the shortest."""


class Outlet:
    """Takes the frames of a camera for one place: all of them, or few while the picture there stands still."""

    def __init__(self, frames: Latest[Frame], pace: Pace) -> None:
        self.frames = frames
        self.pace = pace
        self._given_ns: int | None = None

    def put(self, frame: Frame) -> None:
        """Pass the newest frame on, unless it is too early for a picture that stands still."""
        period_ns, given_ns = self.pace.watch_period_ns, self._given_ns
        # a camera that is read for this place alone is slowed down itself, and comes a little early at times
        if given_ns is None or frame.time_ns - given_ns >= period_ns * EARLY:
            self._given_ns = frame.time_ns
            self.frames.put(frame)


class Capture:
    """Camera -> newest frame, for each place that it sees. Counts the frames that the camera or this stage dropped."""

    longest_wait_s = READ_S + OPEN_S

    def __init__(
        self,
        camera: Camera,
        outlets: Sequence[Outlet],
        recent: RecentFrames,
        clock: Clock,
        stop: threading.Event,
        report: Report,
        config: CameraSettings,
        *,
        opened: bool = True,
        label: str = MAIN,
        several: bool = False,
    ) -> None:
        """`label` is the camera's name in the configuration; `several`: others go on when this one fails for good."""
        self.name = f"capture {label}" if several else "capture"
        self.camera = label
        """The camera's name."""
        # CameraLost ends the program, so that it is restarted
        self._gives_up = not several
        self._outlets = outlets
        self._read_ns = self._skipped = 0
        self._camera = camera
        self._recent = recent
        self._clock, self._stop, self._report, self._config = clock, stop, report, config
        self._inspector = FrameInspector()
        self._verdict: Verdict = "good"
        # as if all were well now: each time limit begins at the start
        self._verdict_ns = self._alive_ns = self._good_ns = self._opened_ns = clock.monotonic_ns()
        self._dark_reopened, self._ended, self._errors = False, False, 0
        self._delay_s = FIRST_DELAY_S
        self._reopen_ns: int | None = None
        self.captured = 0
        """Frames read since the start."""
        self.reopened = 0
        """Times the camera was reopened."""
        self.absent = not opened
        """Whether the camera has not been opened yet, since the start."""
        if self.absent:
            self._wait_before_opening()

    @property
    def dropped(self) -> int:
        """Frames that came too fast to be encoded: dropped by the camera, or replaced here by newer ones.

        Frames skipped because the picture stood still do not count.
        """
        return self.missed + sum(outlet.frames.dropped for outlet in self._outlets)

    @property
    def missed(self) -> int:
        """Frames that the camera dropped while they were wanted."""
        return self._camera.dropped - self._skipped

    @property
    def state(self) -> str:
        """The camera's condition: a verdict of the inspector, "reopening", or "ended": a recording's end."""
        if self._ended:
            return "ended"
        return "reopening" if self._reopen_ns is not None else self._verdict

    @property
    def lasted_s(self) -> float:
        """Time since the condition last changed, seconds."""
        return (self._clock.monotonic_ns() - self._verdict_ns) / NS_PER_S

    def step(self) -> bool:
        """Read a frame, or try to reopen the camera; False at the end of a recording. Raises CameraLost."""
        if self._reopen_ns is not None:
            return self._reopen(self._reopen_ns)
        period_ns = min(outlet.pace.watch_period_ns for outlet in self._outlets)
        if period_ns and self._skip(period_ns):
            return True
        dropped = self._camera.dropped
        try:
            # READ_S: the heartbeat must come in time even when the camera is silent
            frame = self._camera.read(min(READ_S, self._stall_s))
            if period_ns:
                # frames that were dropped while nobody read are not missed: the picture stood still
                self._skipped += self._camera.dropped - dropped
            if frame is None:
                self._report(logging.INFO, "recording_ended", camera=self._camera.uri, frames=self.captured)
                self._close_outlets()
                return False
            check_form(frame, self._camera.uri)
        except CameraStalled as error:
            # one read without a frame is no fault yet
            if not self._config.recording and self._silent_for(self._alive_ns, self._stall_s):
                self._fault("stalled", error)
        except CameraLoss as error:
            self._report(logging.WARNING, "camera_loss", camera=self._camera.uri, reason=str(error))
        except DeviceError as error:
            self._unreadable(error)
        else:
            self._accept(frame)
        return not self._ended

    def _close_outlets(self) -> None:
        """Let the places know that no more frames come."""
        self._ended = True
        for outlet in self._outlets:
            outlet.frames.close()

    @property
    def _stall_s(self) -> float:
        """Seconds of silence that are a fault; a camera that is slow by its settings may take three of its periods."""
        return max(self._config.stall_after_s, SLOW_PERIODS * self._camera.period_s)

    def _skip(self, period_ns: int) -> bool:
        """Wait a little if it is too early to read a picture that stands still; False once it is time."""
        now_ns = self._clock.monotonic_ns()
        wait_ns = self._read_ns + period_ns - now_ns
        if wait_ns <= 0:
            self._read_ns = now_ns
            return False
        self._clock.wait(self._stop, min(wait_ns / NS_PER_S, SLICE_S))
        return True

    def _accept(self, frame: Frame) -> None:
        now_ns = self._clock.monotonic_ns()
        self._alive_ns = now_ns
        self._errors = 0
        self.captured += 1
        # pictures of a folder may be black or equal on purpose
        inspected = not self._camera.repeats and self._config.stuck_after_s > 0
        verdict = self._inspector.judge(frame.image) if inspected else "good"
        if verdict != self._verdict:
            self._changed(verdict, now_ns)
        # a black picture is usable: it is dark
        if verdict in ("good", "black"):
            self._good_ns = now_ns
            if now_ns - self._opened_ns > STEADY_NS:
                self._delay_s = FIRST_DELAY_S
        # noise is never taught or decided on; black and repeated pictures are what the camera shows
        if verdict != "noise":
            self._recent.add(frame)
            for outlet in self._outlets:
                outlet.put(frame)
        if verdict != "good" and self._silent_for(self._verdict_ns, self._config.stuck_after_s):
            self._stuck(verdict, now_ns)

    def _changed(self, verdict: Verdict, now_ns: int) -> None:
        lasted_s = (now_ns - self._verdict_ns) / NS_PER_S
        if verdict == "good" and lasted_s >= self._config.stuck_after_s:
            self._report(logging.INFO, "camera_well", camera=self._camera.uri, after=self._verdict, seconds=lasted_s)
        if verdict == "good":
            self._dark_reopened = False
        self._verdict, self._verdict_ns = verdict, now_ns

    def _stuck(self, verdict: Verdict, now_ns: int) -> None:
        if verdict == "black" and self._dark_reopened:
            return  # it is dark, or the lens is covered: reopening again would not help
        self._dark_reopened = verdict == "black"
        self._fault(verdict, f"only {verdict} frames for {self._config.stuck_after_s:g} s")

    def _unreadable(self, error: DeviceError) -> None:
        self._errors += 1
        if self._config.recording:
            self._report(logging.WARNING, "picture_unreadable", camera=self._camera.uri, reason=str(error))
            if self._errors >= RECORDING_TRIES:
                lost = CameraLost(f"{self._errors} pictures in a row cannot be read; the last error: {error}")
                if self._gives_up:
                    raise lost from error
                self._report(logging.ERROR, "recording_ended", camera=self._camera.uri, reason=str(lost))
                self._close_outlets()
        elif self._errors >= TRIES:
            self._fault("failed", error)

    def _fault(self, kind: str, reason: object) -> None:
        self._report(logging.WARNING, "camera_fault", camera=self._camera.uri, kind=kind, reason=str(reason))
        # it is faulty already, and is opened anew in any case
        with contextlib.suppress(DeviceError):
            self._camera.close()
        self._wait_before_opening()

    def _wait_before_opening(self) -> None:
        self._reopen_ns = self._clock.monotonic_ns() + round(self._delay_s * NS_PER_S)
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)

    def _reopen(self, reopen_ns: int) -> bool:
        # since the last good frame: a camera that opens and delivers garbage must not count as recovered
        if self._gives_up and self._silent_for(self._good_ns, self._config.give_up_after_s):
            raise CameraLost(
                f"{self._camera.uri}: no usable frame for {self._config.give_up_after_s:g} s, reopened "
                f"{self.reopened} times: check its cable and power supply"
            )
        wait_s = (reopen_ns - self._clock.monotonic_ns()) / NS_PER_S
        if wait_s > 0:
            self._clock.wait(self._stop, min(wait_s, SLICE_S))
            return True
        try:
            self._camera.open()
        except DeviceError as error:
            self._report(logging.WARNING, "camera_absent", camera=self._camera.uri, reason=str(error))
            self._wait_before_opening()
            return True
        self.reopened += 1
        self.absent = False
        self._reopen_ns = None
        self._errors = 0
        self._alive_ns = self._opened_ns = self._verdict_ns = self._clock.monotonic_ns()
        # the first frame may equal the last one from before
        self._inspector.forget()
        self._report(logging.INFO, "camera_reopened", camera=self._camera.uri, times=self.reopened)
        return True

    def _silent_for(self, since_ns: int, seconds: float) -> bool:
        return self._clock.monotonic_ns() - since_ns >= seconds * NS_PER_S
