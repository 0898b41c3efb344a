"""A whole device inside a program of one's own: camera, decisions, teaching, events (docs/python.md)."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.classifier import SOURCE, Classified
from edge_app.closing import Closing
from edge_app.composition import OwnDevices, close_device, open_clients, open_device, prepare_clients
from edge_app.config import Config, load_config
from edge_app.control.hub import Hub
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.functions import FunctionCamera, ReadFrame
from edge_app.devices.ports import Buttons, Camera
from edge_app.errors import EdgeAppError, InputError
from edge_app.learner.pictures import Picture
from edge_app.pipeline.coach import SimilarExample
from edge_app.pipeline.events import Decided, Event, Listener, Taught
from edge_app.storage.records import Action, Example

if TYPE_CHECKING:
    from edge_app.control import Control, DeviceStatus
    from edge_app.pipeline.place import Place

STOP_S = 3.0
"""Time for the stages to stop; the state is saved afterwards."""
MOST_WAITING = 1000
"""Events that wait for a reader; then the oldest decision is left out, so that no press is lost for it."""


class DevicePlace:
    """A place of a device: what is decided, taught and known there. Places of one group share what they know."""

    _control: "Control"
    _place: "Place"
    _use: Callable[[], None]
    """Raises InputError if the device is closed."""

    @property
    def name(self) -> str:
        """The place's name."""
        return self._place.name

    # Deciding

    @property
    def decision(self) -> Decided | None:
        """The newest decision; None before the first."""
        return self._place.decide.last

    def classify(self, picture: Picture) -> Classified:
        """Return the decision on a picture that the camera has not seen; see `Classifier.classify`."""
        self._use()
        return Classified.of(*self._control.classify(picture))

    def most_similar(self, *, frame: int | None = None, limit: int = 3) -> list[SimilarExample]:
        """Return the taught examples that a frame resembles most, the most similar first: why it is decided so.

        `frame`: the number of one of the last half second, as in an event; None: the newest.
        """
        self._use()
        return self._control.similar(frame=frame, limit=limit)[1]

    # Teaching and correcting

    def teach(self, label: str, *, source: str = SOURCE) -> Taught:
        """Teach the camera's newest frame; it is on the disk when this returns."""
        self._use()
        return self._control.teach(label, source=source)

    def undo(self) -> Action:
        """Take back the last action, whatever it was, and return it. Raises InputError when there is none."""
        self._use()
        return self._control.undo(source=SOURCE)

    def relabel(self, examples: Sequence[int], label: str) -> Action:
        """Give examples, by their numbers, another class, as one action."""
        self._use()
        return self._control.relabel(examples, label, source=SOURCE)

    def forget(self, label: str) -> Action:
        """Forget a class with all its examples; `undo` brings it back. Raises UnknownLabel."""
        self._use()
        return self._control.forget_class(label, source=SOURCE)

    def rename(self, label: str, to: str) -> Action:
        """Give a class a name that no other class has. Raises UnknownLabel."""
        self._use()
        return self._control.rename_class(label, to, source=SOURCE)

    def merge(self, label: str, into: str) -> Action:
        """Move the examples of the class `label` to the class `into`. Raises UnknownLabel."""
        self._use()
        return self._control.merge_classes(label, into, source=SOURCE)

    # Reading

    def classes(self) -> dict[str, int]:
        """Return the number of examples of each class, classes in the order of their first example."""
        self._use()
        return self._place.group.learner.classes()

    def examples(self, label: str | None = None) -> list[Example]:
        """Return the stored examples in the order in which they were taught, all or of one class."""
        self._use()
        return self._place.group.learner.examples(label)

    def status(self) -> "DeviceStatus":
        """Return the device's condition: camera, rate, temperature, classes."""
        self._use()
        return self._control.status()


class Device(DevicePlace, Closing):
    """A device that runs until it is closed; a context manager, safe to use from any thread.

    Its methods are those of its first place, often the only one; `places` has all. The same stages as `edge-app
    run`, without its signals, watchdog and service manager. Every method raises EdgeAppError for what it can
    explain, and InputError once closed.
    """

    def __init__(
        self,
        state: str | Path | None = None,
        *,
        camera: str | Camera | ReadFrame | None = None,
        buttons: str | Buttons | None = None,
        config: Config | str | Path | None = None,
        web: bool | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Open the devices and start; the first decision comes some milliseconds later.

        `state`, `camera`, `buttons` and `web` replace what `config` says, a configuration or the path of one; None
        leaves it, and a configuration of None is all defaults. A camera is a URI, an object with the interface of
        `Camera`, or a function that returns the next frame, RGB, (height, width, 3) uint8, and None after the last
        one. Buttons are a URI or an object with the interface of `Buttons`. Objects are closed with the device.
        `listener` is called with every event, as by `listen`. Raises EdgeAppError, then nothing stays open.
        """
        clock = MonotonicClock()
        own = OwnDevices(_camera(camera, clock), buttons if isinstance(buttons, Buttons) else None)
        settings = _config(config).overridden(
            camera=camera if isinstance(camera, str) else None,
            buttons=buttons if isinstance(buttons, str) else None,
            state=None if state is None else Path(state),
            web=web,
        )
        self._streams: tuple[EventStream, ...] = ()  # replaced as a whole: read without the lock
        self._closing = threading.Lock()
        self._closed = self._ended = False
        self._hub = Hub()
        if listener is not None:
            self._hub.listen(listener)
        with ExitStack() as stack:
            self._open(stack, settings, clock, own)
            self._stack = stack.pop_all()  # last: until here an error closes everything

    def _open(self, stack: ExitStack, settings: Config, clock: MonotonicClock, own: OwnDevices) -> None:
        mqtt = prepare_clients(settings)  # before the slow steps: a missing extra is reported at once
        device = self._opened = open_device(stack, settings, clock, _Quiet(), self._hub.tell, own)
        pipeline = device.pipeline
        self.places: Mapping[str, DevicePlace] = {
            name: _OfDevice(self._use, device.controls[name], place) for name, place in pipeline.places.items()
        }
        """All places by their names."""
        self._place = pipeline.first
        self._control = device.controls[self._place.name]
        self._clients = stack.enter_context(ExitStack())
        page, bridges = open_clients(stack, self._clients, mqtt, device)
        pipeline.start(self._changed)
        stack.callback(pipeline.stop, STOP_S)  # if a client cannot start
        if page is not None:
            page.start()
        for bridge in bridges:
            bridge.start()
        self.url: str | None = page.url if page is not None else None
        """Address of the page; None without one."""

    # Events

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event, from the device's threads: it must return at once.

        Returns a function that removes it again. A listener that raises is logged and removed.
        """
        self._use()
        return self._hub.listen(listener)

    def events(self, *kinds: type[Event]) -> "EventStream":
        """Return the events from now on, of these types (none: of all), as an iterator that waits for the next one.

        It ends when the device is closed or its camera's recording ends, and raises the error that ended the device.
        """
        self._use()
        stream = EventStream(kinds, self._is_over, lambda: self.failure)
        with self._closing:
            self._streams = (*self._streams, stream)
        stream.stop_listening = self._hub.listen(stream.add)
        return stream

    @property
    def running(self) -> bool:
        """Whether the device still works: not closed, no recording at its end, no failure."""
        return not self._is_over()

    @property
    def failure(self) -> EdgeAppError | None:
        """The error that ended the device by itself; None if it did not."""
        return self._opened.pipeline.failure

    def close(self) -> None:
        """Carry out the commands that wait, stop, save the state and release the devices."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        # the teacher would wait for one that is being stored
        for learner in self._opened.learners.values():
            learner.refuse_imports()
        self._clients.close()
        close_device(self._stack, self._opened, STOP_S)
        self._ended = True
        self._changed()

    # Inside

    def _use(self) -> None:
        if self._closed:
            raise InputError("the device is closed: open another one")

    def _is_over(self) -> bool:
        return self._ended or not self._opened.pipeline.running

    def _changed(self) -> None:
        with self._closing:
            streams = self._streams
        for stream in streams:
            stream.wake()


class _OfDevice(DevicePlace):
    def __init__(self, use: Callable[[], None], control: "Control", place: "Place") -> None:
        self._use, self._control, self._place = use, control, place


class EventStream(Closing):
    """Events as they come, for one thread: an iterator. Close it, or its device, to end it."""

    def __init__(
        self, kinds: tuple[type[Event], ...], is_over: Callable[[], bool], failure: Callable[[], EdgeAppError | None]
    ) -> None:
        self._kinds = kinds
        self._is_over = is_over
        self._failure = failure
        self._waiting: deque[Event] = deque()
        self._came = threading.Condition()
        self._closed = False
        self.stop_listening: Callable[[], None] = lambda: None

    def add(self, event: Event) -> None:
        """Add an event; a listener."""
        if self._kinds and not isinstance(event, self._kinds):
            return
        with self._came:
            if len(self._waiting) >= MOST_WAITING:
                # decisions come many times a second, and the next is as good
                oldest = next((one for one in self._waiting if isinstance(one, Decided)), self._waiting[0])
                self._waiting.remove(oldest)
            self._waiting.append(event)
            self._came.notify_all()

    def wake(self) -> None:
        """Look again whether the device is over."""
        with self._came:
            self._came.notify_all()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        with self._came:
            # what waits is handed out before the end is told
            while not self._waiting:
                if self._closed:
                    raise StopIteration
                if self._is_over():
                    raise self._failure() or StopIteration
                self._came.wait()
            return self._waiting.popleft()

    def close(self) -> None:
        """Receive no more events; a thread that waits for one goes on."""
        self.stop_listening()
        with self._came:
            self._closed = True
            self._came.notify_all()


class _Quiet:
    """A start that nobody follows."""

    stop_requested = False

    def say(self, status: str) -> None:
        """Ignore it."""


def _camera(camera: str | Camera | ReadFrame | None, clock: MonotonicClock) -> Camera | None:
    if camera is None or isinstance(camera, str):
        return None
    if isinstance(camera, Camera):
        return camera
    if callable(camera):
        return FunctionCamera(camera, clock)
    raise InputError(f"camera is {type(camera).__name__}, expected a URI, a Camera or a function that returns frames")


def _config(config: Config | str | Path | None) -> Config:
    if isinstance(config, Config):
        return config
    return load_config(None if config is None else Path(config), os.environ)
