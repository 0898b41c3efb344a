"""Simulated clock, camera, buttons, indicator and outputs: for tests, the demo and a laptop."""

import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Clock, Signal
from edge_app.devices.uri import Reader, read_options, read_seconds, read_size, split_scheme
from edge_app.errors import DeviceError, InputError
from edge_app.messages import Decision

LAST_PRESS_S = 31 * 86400.0
"""Latest time of a press in a URI, seconds after the start."""

MOST_REMEMBERED = 10_000
"""Decisions and blinks that an indicator keeps: a device may run for months."""

FaultKind = Literal["stall", "unplug", "garbage", "black", "repeat"]


class SimulatedClock:
    """A clock that advances when somebody sleeps or waits on it, or by `advance`; safe to use from any thread."""

    def __init__(self, start_ns: int = NS_PER_S) -> None:
        self._now_ns = start_ns
        self._lock = threading.Lock()

    def monotonic_ns(self) -> int:
        """Return the simulated time."""
        with self._lock:
            return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises InputError for a negative step."""
        if seconds < 0:
            raise InputError(f"a monotonic clock cannot advance by {seconds:g} s; expected zero or more")
        with self._lock:
            self._now_ns += round(seconds * NS_PER_S)

    def sleep(self, seconds: float) -> None:
        """Advance the clock by `seconds`; returns at once."""
        self.advance(max(0.0, seconds))

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return at once: True if `event` is set, else False after advancing the clock by the timeout."""
        if not event.is_set():
            self.sleep(timeout_s)
        return event.is_set()


class Scene(Protocol):
    """A view in front of a simulated camera."""

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        """Return the view `time_ns` after the start of the scene: uint8 (height, width, 3) RGB, a new array.

        The same time gives the same bytes.
        """


class Fault(NamedTuple):
    """A fault of a simulated camera for a while.

    stall: no frames. unplug: reading and opening fail. garbage: random bytes. black: black frames. repeat: the last
    good picture, with new times.
    """

    kind: FaultKind
    start_s: float
    """Seconds after the camera was made."""
    length_s: float
    """Duration in seconds; float("inf"): for ever."""


class SimulatedCamera(PacedCamera):
    """A camera in front of a scene, with faults on request. The scene starts when the camera is created."""

    def __init__(
        self, scene: Scene, clock: Clock, *, fps: float = 30.0, faults: Sequence[Fault] = (), uri: str = "sim:"
    ) -> None:
        super().__init__(uri, clock, fps)
        self._scene = scene
        self._faults = tuple(faults)
        # faults begin at times of the scene, however often the camera is reopened
        self._made_ns = clock.monotonic_ns()
        self._last: NDArray[np.uint8] | None = None

    def _fault(self, time_ns: int) -> FaultKind | None:
        seconds = (time_ns - self._made_ns) / NS_PER_S
        for fault in self._faults:
            if fault.start_s <= seconds < fault.start_s + fault.length_s:
                return fault.kind
        return None

    def _check_plugged(self) -> None:
        if self._fault(self._clock.monotonic_ns()) == "unplug":
            raise DeviceError(f"{self.uri}: the camera is unplugged; plug it in and open it again")

    def _start(self) -> None:
        self._check_plugged()

    def _stop(self) -> None:
        self._last = None  # a reopened camera repeats only its own pictures

    def _produces(self, time_ns: int) -> bool:
        self._check_plugged()
        return self._fault(time_ns) not in ("stall", "unplug")

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        fault = self._fault(time_ns)
        if fault == "repeat" and self._last is not None:
            return self._last.copy()
        image = self._scene.image(time_ns - self._made_ns)
        if fault == "black":
            return np.zeros_like(image)
        if fault == "garbage":
            # seeded by the time: the same run has the same garbage
            return np.random.default_rng(time_ns).integers(0, 256, image.shape, np.uint8)
        self._last = image
        return image


LOOK_S = 0.01
"""How late a press from another thread may be noticed, seconds."""


class SimulatedButtons(Closing):
    """Buttons pressed by a test or the demo; edges are returned once the clock has reached them."""

    def __init__(self, names: Sequence[str], clock: Clock, *, uri: str = "sim:") -> None:
        if len(set(names)) != len(names) or not all(names):
            raise InputError(f"button names {list(names)} must be unique and not empty")
        self._names = tuple(names)
        self._clock = clock
        self._uri = uri
        self._edges: list[ButtonEdge] = []
        self._open = True
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the buttons' names."""
        return self._names

    def press(self, name: str, *, at_ns: int | None = None) -> None:
        """Press for a tenth of a second, now or at a monotonic time; see `hold`."""
        self.hold(name, 0.1, at_ns=at_ns)

    def hold(self, name: str, seconds: float, *, at_ns: int | None = None) -> None:
        """Press for `seconds`, now or at a monotonic time. Raises InputError for an unknown name."""
        if name not in self._names:
            raise InputError(f"{self._uri}: unknown button {name!r}; expected one of {', '.join(self._names)}")
        start_ns = self._clock.monotonic_ns() if at_ns is None else at_ns
        with self._lock:
            self._edges += [
                ButtonEdge(name, True, start_ns),
                ButtonEdge(name, False, start_ns + round(seconds * NS_PER_S)),
            ]
            # presses may be scheduled in any order
            self._edges.sort(key=lambda edge: edge.time_ns)

    def read(self, timeout_s: float) -> list[ButtonEdge]:
        """Return the edges that the clock has reached, letting up to `timeout_s` pass for the first."""
        if not self._open:
            raise DeviceError(f"{self._uri}: the buttons are closed")
        until_ns = self._clock.monotonic_ns() + round(timeout_s * NS_PER_S)
        while True:
            with self._lock:
                now_ns = self._clock.monotonic_ns()
                seen = [edge for edge in self._edges if edge.time_ns <= now_ns]
                del self._edges[: len(seen)]
                next_ns = min([until_ns, *(edge.time_ns for edge in self._edges[:1])])
            if seen or now_ns >= until_ns:
                return seen
            # in short steps: another thread may press meanwhile
            self._clock.sleep(min((next_ns - now_ns) / NS_PER_S, LOOK_S))

    def close(self) -> None:
        """Release the buttons."""
        self._open = False


class SimulatedIndicator:
    """An indicator that remembers the last things that it was told."""

    def __init__(self, clock: Clock, names: tuple[str, ...] = ()) -> None:
        """`names` are the classes that have a light of their own."""
        self._clock = clock
        self.names = names
        self.shown: deque[tuple[int, str | None]] = deque(maxlen=MOST_REMEMBERED)
        """(monotonic ns, label) of every decision shown."""
        self.blinks: deque[tuple[int, Signal]] = deque(maxlen=MOST_REMEMBERED)
        """(monotonic ns, signal) of every blink."""
        self.closed = False

    def show(self, decision: Decision) -> None:
        """Remember the decision's label."""
        self.shown.append((self._clock.monotonic_ns(), decision.label))

    def blink(self, signal: Signal) -> None:
        """Remember the signal."""
        self.blinks.append((self._clock.monotonic_ns(), signal))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class SimulatedOutputs:
    """Outputs that remember how they were switched."""

    def __init__(self, names: Sequence[str], clock: Clock, on: Collection[str] = (), *, uri: str = "sim:") -> None:
        """`on` are switched on at first. Raises InputError for names that repeat or are empty."""
        if not names or len(set(names)) != len(names) or not all(names):
            raise InputError(f"{uri!r}: output names {list(names)} must be unique and not empty, as in sim:door,lamp")
        self.names = tuple(names)
        self._clock = clock
        self._uri = uri
        self.levels = {name: name in on for name in names}
        """Name -> on, now."""
        self.switched: deque[tuple[int, str, bool]] = deque(maxlen=MOST_REMEMBERED)
        """(monotonic ns, name, on) of every change."""
        self.broken = False
        """Set by a test: the lines are gone."""
        self.closed = False

    def set(self, levels: Mapping[str, bool]) -> None:
        """Remember the changes."""
        if self.closed or self.broken:
            raise DeviceError(f"{self._uri}: the outputs {'are closed' if self.closed else 'can no longer be set'}")
        for name, on in levels.items():
            if self.levels[name] != on:
                self.levels[name] = on
                self.switched.append((self._clock.monotonic_ns(), name, on))

    def close(self) -> None:
        """Remember that they were closed."""
        self.closed = True


def camera_from_uri(uri: str, clock: Clock) -> SimulatedCamera:
    """Make the camera of `sim:OPTIONS`: seed, fps, size=WxH, scene=photographs|shapes|still, faults KIND=START+LENGTH.

    `sim:scene=shapes,stall=10+5` stalls for 5 s after 10 s. Raises InputError for a bad option, RuntimeMissing
    when the photographs' library is not installed.
    """
    readers: dict[str, Reader] = {"seed": _read_seed, "fps": float, "size": read_size, "scene": _read_scene}
    kinds = cast(tuple[FaultKind, ...], get_args(FaultKind))
    options = read_options(uri, split_scheme(uri)[1], readers | dict.fromkeys(kinds, _read_span))
    seed, size = options.get("seed", 0), options.get("size", (640, 480))
    scene: Scene
    kind = options.get("scene", "photographs")
    if kind != "photographs":
        from edge_app.simulation.shapes import ShapesScene, StillScene

        scene = ShapesScene(seed=seed, size=size) if kind == "shapes" else StillScene(seed=seed, size=size)
    else:
        from edge_app.simulation.photographs import load_photographs
        from edge_app.simulation.scene import PhotographScene, endless_shots

        photographs = load_photographs()
        scene = PhotographScene(photographs, endless_shots(photographs, seed), size=size)
    faults = [Fault(kind, *options[kind]) for kind in kinds if kind in options]
    return SimulatedCamera(scene, clock, fps=options.get("fps", 30.0), faults=faults, uri=uri)


def buttons_from_uri(uri: str, clock: Clock) -> SimulatedButtons:
    """Make the buttons of `sim:NAME,NAME,...`; those of `sim:NAME@2+5.5,...` are pressed 2 and 5.5 s after the start.

    Raises InputError for a repeated name or an invalid time.
    """
    parts = [part.partition("@") for part in split_scheme(uri)[1].split(",") if part]
    buttons = SimulatedButtons([name for name, _, _ in parts], clock, uri=uri)
    start_ns = clock.monotonic_ns()
    for name, _, times in parts:
        for text in filter(None, times.split("+")):
            try:
                seconds = read_seconds(text, most=LAST_PRESS_S)
            except ValueError as error:
                raise InputError(f"{uri!r}: press {name}@{text}: {error}") from error
            buttons.press(name, at_ns=start_ns + round(seconds * NS_PER_S))
    return buttons


def indicator_from_uri(uri: str, clock: Clock) -> SimulatedIndicator:
    """Make the indicator of `sim:`; raises InputError for anything after it."""
    read_options(uri, split_scheme(uri)[1], {})
    return SimulatedIndicator(clock)


def outputs_from_uri(uri: str, clock: Clock, on: Collection[str] = ()) -> SimulatedOutputs:
    """Make the outputs of `sim:NAME,NAME,...`; raises InputError for a repeated name, and for none."""
    return SimulatedOutputs([name for name in split_scheme(uri)[1].split(",") if name], clock, on, uri=uri)


def _read_seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise ValueError("expected a whole number of zero or more, at most 18 digits")
    return int(text)


def _read_scene(text: str) -> str:
    if text not in ("photographs", "shapes", "still"):
        raise ValueError("expected photographs, shapes or still")
    return text


def _read_span(text: str) -> tuple[float, float]:
    start, _, length = text.partition("+")
    try:
        span = float(start), float(length or "inf")
    except ValueError:
        raise ValueError("expected START or START+LENGTH in seconds, for example 10+5") from None
    if not (span[0] >= 0 and span[1] > 0):
        raise ValueError("expected a start of zero or more and a length above zero")
    return span
