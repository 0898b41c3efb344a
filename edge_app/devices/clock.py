"""The machine's own monotonic clock."""

import threading
import time


class MonotonicClock:
    """CLOCK_MONOTONIC, as `time.monotonic_ns` reads it; safe to use from any thread."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since an arbitrary start."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        if seconds > 0:
            time.sleep(seconds)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s`."""
        return event.wait(timeout_s)
