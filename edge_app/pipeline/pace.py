"""The rate of encoding: a limit, a lower one while the processor is hot, and no encoding while idle."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.config import Config
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.messages import Report

LOOK_NS = 5 * NS_PER_S
"""Between two readings of the temperature."""
PATCHES = 14
"""Patches per side over which a picture is averaged to detect a change."""
STILL_NS = 2 * NS_PER_S
"""A picture that has not changed for this long is read at the watch rate."""


def read_temperature(sensor: Path) -> float | None:
    """Return degrees Celsius from a thermal zone's file (millidegrees); None if it cannot be read."""
    try:
        return int(sensor.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


class Pace:
    """Says when the next frame is due.

    Used by the prepare stage. `config` and `max_fps` may be set from any thread; the encode stage calls `saw`, the
    capture stage reads `watch_period_ns`.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        report: Report,
        *,
        temperature: "Thermometer | None" = None,
        max_fps: float = 0.0,
        places: int = 1,
    ) -> None:
        """`temperature`: one for all places; `max_fps`: the place's own, 0: that of [decision].

        The rate of a hot processor is shared by `places`.
        """
        self.config = config
        """Its sections [decision], [idle] and [temperature] are used."""
        self.temperature = temperature or Thermometer(clock, report)
        self._clock, self._max_fps, self._places = clock, max_fps, places
        self._next_ns = clock.monotonic_ns()
        self._changed_ns: int | None = None
        self._still = False

    @property
    def max_fps(self) -> float:
        """The place's own limit, decisions per second; 0: that of [decision]."""
        return self._max_fps

    @max_fps.setter
    def max_fps(self, value: float) -> None:
        self._max_fps = value
        # due now: at a low rate the next frame was perhaps due in minutes only
        self._next_ns = self._clock.monotonic_ns()

    @property
    def temperature_c(self) -> float | None:
        """At the last reading; None: unknown."""
        return self.temperature.celsius

    @property
    def slowed(self) -> bool:
        """Whether the rate is lowered because of the temperature."""
        return self.temperature.slowed

    def wait_s(self) -> float:
        """Return the seconds until the next frame is due; zero or less if it is due."""
        self.temperature.look(self.config)
        return (self._next_ns - self._clock.monotonic_ns()) / NS_PER_S

    def took(self) -> None:
        """Record that a frame was taken now."""
        # 0 stands for no cap
        slow_fps = self.slowed * self.config.temperature.slow_fps / self._places
        caps = (self._max_fps or self.config.decision.max_fps, slow_fps)
        rates = [cap for cap in caps if cap > 0]
        now_ns = self._clock.monotonic_ns()
        if not rates:
            self._next_ns = now_ns
            return
        period_ns = round(NS_PER_S / min(rates))
        # counted from the time it was due, so that the rate is kept; missed frames are not made up for
        self._next_ns = max(self._next_ns + period_ns, now_ns)

    def saw(self, time_ns: int, changed: bool) -> None:
        """Record whether the picture of that time, monotonic ns, had changed."""
        if changed or self._changed_ns is None:
            self._changed_ns = time_ns
        # by capture times: a slow encoder must not make a picture look still for longer
        self._still = time_ns - self._changed_ns >= STILL_NS

    @property
    def watch_period_ns(self) -> int:
        """Time between two reads of the camera while the picture stands still; 0: read all the time."""
        idle = self.config.idle
        if not self._still or idle.threshold <= 0 or idle.watch_fps <= 0:
            return 0
        return round(NS_PER_S / idle.watch_fps)


class Thermometer:
    """The processor's temperature, read every LOOK_NS; says whether the rate is lowered because of it."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock, self._report = clock, report
        self._look_ns = clock.monotonic_ns()
        self._unreadable = ""
        self.celsius: float | None = None
        """At the last reading; None: unknown."""
        self.slowed = False
        """Whether the rate is lowered."""

    def look(self, config: Config) -> None:
        """Read it if it is time."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._look_ns:
            return
        self._look_ns = now_ns + LOOK_NS
        limits = config.temperature
        self.celsius = read_temperature(Path(limits.sensor)) if limits.sensor else None
        if self.celsius is None:
            # logged once, not every five seconds
            if limits.sensor and self._unreadable != limits.sensor:
                self._report(logging.INFO, "temperature_unknown", sensor=limits.sensor)
                self._unreadable = limits.sensor
            self._slow(config, False)
        elif self.celsius >= limits.slow_at_c:
            self._slow(config, True)
        elif self.celsius < limits.resume_at_c:
            # between the two limits nothing changes, so that the rate does not flicker
            self._slow(config, False)

    def _slow(self, config: Config, slowed: bool) -> None:
        if slowed != self.slowed:
            self.slowed = slowed
            event = "rate_lowered" if slowed else "rate_restored"
            self._report(
                logging.WARNING if slowed else logging.INFO,
                event,
                temperature_c=self.celsius,
                fps=config.temperature.slow_fps if slowed else config.decision.max_fps or None,
            )


class ChangeDetector:
    """Detects that a picture differs from the last changed one; slow drift adds up until it counts."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def changed(self, picture: NDArray[np.uint8], threshold: float) -> bool:
        """Compare the mean levels of patches of a picture, (side, side, 3) uint8; a change becomes the new reference.

        With a threshold of 0 every picture is a change.
        """
        # the reference is dropped: after a reconfiguration the first picture counts as changed
        if threshold <= 0:
            self._last = None
            return True
        import cv2

        patches: NDArray[np.float32] = cv2.resize(
            picture.astype(np.float32), (PATCHES, PATCHES), interpolation=cv2.INTER_AREA
        ).mean(axis=2)
        if self._last is not None and float(np.abs(patches - self._last).max()) <= threshold:
            return False
        # only with a change: otherwise slow drift would never add up
        self._last = patches
        return True
