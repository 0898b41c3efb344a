"""Buttons, lights and outputs on lines of a GPIO chip: `gpio:/dev/gpiochip0?cup=17,undo=22`."""

import contextlib
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from edge_app.closing import Closing
from edge_app.devices.gpiolines import LINE_OPTIONS, load_library, parse_lines, request_lines
from edge_app.devices.lights import STATUS, LightPlan
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Clock, Signal
from edge_app.errors import DeviceError, InputError
from edge_app.messages import Decision


class GpioButtons(Closing):
    """Buttons on lines of a GPIO chip (path or label), one a name; debounced and time-stamped by the kernel.

    The defaults suit a button between line and ground. `library` stands for the module gpiod.
    """

    def __init__(
        self,
        chip: str,
        lines: Mapping[str, str],
        *,
        bias: str = "PULL_UP",
        active_low: bool = True,
        debounce_s: float = 0.01,
        uri: str | None = None,
        library: Any = None,
    ) -> None:
        self._uri = uri or f"gpio:{chip}"
        if not lines:
            raise InputError(f"{self._uri!r} names no button: expected for example gpio:/dev/gpiochip0?cup=17,cat=27")
        library = library or load_library()
        settings = library.LineSettings(
            direction=library.line.Direction.INPUT,
            edge_detection=library.line.Edge.BOTH,
            bias=getattr(library.line.Bias, bias),
            active_low=active_low,
            debounce_period=timedelta(seconds=debounce_s),
            # the clock of frames, so that a press can be matched to what was seen at that moment
            event_clock=library.line.Clock.MONOTONIC,
        )
        self._rising = library.EdgeEvent.Type.RISING_EDGE
        self._request, offsets = request_lines(self._uri, chip, lines, settings, library)
        self._roles = {offset: name for name, offset in offsets.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the buttons' names."""
        return tuple(self._roles.values())

    def read(self, timeout_s: float) -> list[ButtonEdge]:
        """Return the edges since the last call; see `Buttons.read`."""
        if self._request is None:
            raise DeviceError(f"{self._uri}: the buttons are closed")
        try:
            if not self._request.wait_edge_events(timedelta(seconds=max(0.0, timeout_s))):
                return []
            events = self._request.read_edge_events()
        except OSError as error:
            raise DeviceError(f"{self._uri}: the buttons can no longer be read: {error.strerror}") from error
        edges = [
            ButtonEdge(self._roles[event.line_offset], event.event_type is self._rising, int(event.timestamp_ns))
            for event in events
        ]
        # the kernel keeps the order of each line, not that between lines
        return sorted(edges, key=lambda edge: edge.time_ns)

    def close(self) -> None:
        """Release the lines."""
        if self._request is not None:
            self._request.release()
            self._request = None


class GpioLights:
    """Lights on lines of a GPIO chip; a `LightPlan` decides what they show, a thread makes them blink.

    A line that can no longer be set raises DeviceError at the next `show` or `blink`.
    """

    def __init__(
        self,
        chip: str,
        lines: Mapping[str, str],
        clock: Clock,
        *,
        code: Sequence[str] = (),
        active_low: bool = False,
        uri: str | None = None,
        library: Any = None,
    ) -> None:
        self._uri = uri or f"gpio:{chip}"
        bits = {f"bit {bit} of the code": line for bit, line in enumerate(code)}
        if not lines and not bits:
            raise InputError(f"{self._uri!r} names no light: expected for example gpio:/dev/gpiochip0?cup=5,status=13")
        library = library or load_library()
        self._values = {True: library.line.Value.ACTIVE, False: library.line.Value.INACTIVE}
        settings = library.LineSettings(
            direction=library.line.Direction.OUTPUT, active_low=active_low, output_value=self._values[False]
        )
        self._request, offsets = request_lines(self._uri, chip, {**lines, **bits}, settings, library)
        self._off = dict.fromkeys(offsets.values(), False)
        self.names = tuple(name for name in lines if name != STATUS)
        """Classes that have a light of their own."""
        self._plan = LightPlan({name: offsets[name] for name in lines}, [offsets[bit] for bit in bits])
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._error: OSError | None = None
        # in a thread: nobody who presses a button, or decides, waits for a pattern
        self._thread = threading.Thread(target=self._run, name=f"lights {self._uri}", daemon=True)
        self._thread.start()

    def show(self, decision: Decision) -> None:
        """Show a decision until the next one. Raises DeviceError."""
        self._check()
        with self._lock:
            changed = self._plan.show(decision.label, decision.labels)
        if changed:
            self._wake.set()

    def blink(self, signal: Signal) -> None:
        """Acknowledge something that a person did. Raises DeviceError."""
        self._check()
        with self._lock:
            self._plan.blink(signal, self._clock.monotonic_ns())
        self._wake.set()

    def _check(self) -> None:
        if self._stopping:
            raise DeviceError(f"{self._uri}: the lights are closed")
        if self._error is not None:
            raise DeviceError(f"{self._uri}: the lights can no longer be set: {self._error.strerror}")

    def _run(self) -> None:
        written = self._off
        while not self._stopping:
            with self._lock:
                now_ns = self._clock.monotonic_ns()
                levels, next_ns = self._plan.state(now_ns)
            # a line is set only when it changes: each call goes through the kernel
            if levels != written:
                try:
                    self._write(levels)
                except OSError as error:
                    # kept for the next call: an exception in this thread would reach nobody
                    self._error = error
                    return
                written = levels
            if next_ns is None:
                self._wake.wait()
            else:
                self._clock.wait(self._wake, (next_ns - now_ns) / NS_PER_S)
            # after the wait: what was set meanwhile is seen when the loop computes the levels anew
            self._wake.clear()

    def _write(self, levels: Mapping[int, bool]) -> None:
        self._request.set_values({line: self._values[on] for line, on in levels.items()})

    def close(self) -> None:
        """Put the lights out and release the lines."""
        if not self._stopping:
            self._stopping = True
            self._wake.set()
            # before the lines are put out, or the thread would switch them on again
            self._thread.join()
            with contextlib.suppress(OSError):  # the lines are gone already
                self._write(self._off)
            self._request.release()


class GpioOutputs(Closing):
    """Outputs on lines of a GPIO chip, each with a level from the moment that the line is taken."""

    def __init__(
        self,
        chip: str,
        lines: Mapping[str, str],
        *,
        active_low: bool = False,
        inverted: Collection[str] = (),
        on: Collection[str] = (),
        uri: str | None = None,
        library: Any = None,
    ) -> None:
        """`inverted` outputs are active at the other level than `active_low` says; `on` are switched on at first."""
        self._uri = uri or f"gpio:{chip}"
        if not lines:
            raise InputError(f"{self._uri!r} names no output: expected for example gpio:/dev/gpiochip0?door=23")
        for name in inverted:
            if name not in lines:
                raise InputError(f"{self._uri!r}: inverted = {name!r}, expected one of {', '.join(lines)}")
        library = library or load_library()
        self._values = {True: library.line.Value.ACTIVE, False: library.line.Value.INACTIVE}
        kinds = {
            (low, level): library.LineSettings(
                direction=library.line.Direction.OUTPUT, active_low=low, output_value=self._values[level]
            )
            for low in (False, True)
            for level in (False, True)
        }
        own = {name: kinds[active_low != (name in inverted), name in on] for name in lines}
        self._request, self._offsets = request_lines(self._uri, chip, lines, None, library, own)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the outputs' names."""
        return tuple(self._offsets)

    def set(self, levels: Mapping[str, bool]) -> None:
        """Switch some outputs; see `Outputs.set`."""
        if self._request is None:
            raise DeviceError(f"{self._uri}: the outputs are closed")
        try:
            self._request.set_values({self._offsets[name]: self._values[on] for name, on in levels.items()})
        except OSError as error:
            raise DeviceError(f"{self._uri}: the outputs can no longer be set: {error.strerror}") from error

    def close(self) -> None:
        """Release the lines."""
        if self._request is not None:
            self._request.release()
            self._request = None


def buttons_from_uri(uri: str, clock: Clock) -> GpioButtons:
    """Take the lines of `gpio:CHIP?NAME=LINE,...,bias=pull-up,active=low,debounce=10ms`.

    Raises InputError, DeviceError, RuntimeMissing.
    """
    chip, lines, options = parse_lines(uri, LINE_OPTIONS["buttons"])
    names = {"active": "active_low", "debounce": "debounce_s"}
    return GpioButtons(chip, lines, uri=uri, **{names.get(name, name): value for name, value in options.items()})


def lights_from_uri(uri: str, clock: Clock) -> GpioLights:
    """Take the lines of `gpio:CHIP?CLASS=LINE,...,status=LINE,code=LINE+LINE,active=high`.

    Raises InputError, DeviceError, RuntimeMissing.
    """
    chip, lines, options = parse_lines(uri, LINE_OPTIONS["lights"])
    code = options.get("code", ())
    return GpioLights(chip, lines, clock, code=code, active_low=options.get("active", False), uri=uri)


def outputs_from_uri(uri: str, clock: Clock, on: Collection[str] = ()) -> GpioOutputs:
    """Take the lines of `gpio:CHIP?NAME=LINE,...,active=high,inverted=NAME+NAME`; `on` are switched on at first.

    Raises InputError, DeviceError, RuntimeMissing.
    """
    chip, lines, options = parse_lines(uri, LINE_OPTIONS["outputs"])
    low, inverted = options.get("active", False), options.get("inverted", ())
    return GpioOutputs(chip, lines, active_low=low, inverted=inverted, on=on, uri=uri)
