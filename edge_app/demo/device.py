"""The main job on a laptop: a simulated camera sees real photographs, a virtual thumb teaches, the device names.

The device's loop below is the real one in miniature: newest frame -> encoder -> learner -> indicator, and a press
teaches the frame that was shown when the button went down. What is simulated stands behind the ports; encoder, learner
and its storage are the real parts.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.demo.script import NEW, UNDO, Script
from edge_app.devices.ports import ButtonEdge, Buttons, Camera, Indicator
from edge_app.errors import DeviceError
from edge_app.messages import Decision, Frame

READ_TIMEOUT_S = 5.0


class Encoder(Protocol):
    """What the demo asks of an encoder."""

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the embedding, uint8 (n,), of a model input."""


class Taught(Protocol):
    """What the demo is told of a taught example."""

    @property
    def example_id(self) -> int:
        """Its number in the store."""

    @property
    def before(self) -> Decision:
        """What was decided before it was learnt."""


class Learner(Protocol):
    """What the demo asks of a learner."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes known."""

    def teach(self, embedding: NDArray[np.uint8], label: str, *, source: str, thumbnail: bytes | None = None) -> Taught:
        """Store an example and learn it."""

    def classify(self, embedding: NDArray[np.uint8]) -> Decision:
        """Return the decision on an embedding."""

    def undo(self) -> object:
        """Take back the last action."""


class Milliseconds(NamedTuple):
    """What one frame took."""

    preprocess: float
    encode: float
    decide: float

    @property
    def total(self) -> float:
        """The whole frame, from picture to decision."""
        return self.preprocess + self.encode + self.decide


class Named(NamedTuple):
    """The device saw a frame and said what it is."""

    chapter: str
    frame: Frame
    truth: str | None
    decision: Decision
    ms: Milliseconds

    @property
    def right(self) -> bool:
        """Whether it was named what it is."""
        return self.decision.label == self.truth


class Learnt(NamedTuple):
    """A press taught a frame."""

    chapter: str
    frame: Frame
    truth: str | None
    label: str
    """What the thumb said it was."""
    new: bool
    """The class was not known before."""
    example_id: int
    before: Decision
    """What the device said before it was told (test, then train)."""
    ms: float
    """From the press to "learnt": stored on disk and in the network."""


class Undone(NamedTuple):
    """A press took the last one back."""

    chapter: str
    frame: Frame
    before: Decision
    """The decision on the frame before it was wrongly taught."""
    taught: Decision
    """After it was wrongly taught."""
    after: Decision
    """Now."""

    @property
    def exact(self) -> bool:
        """Whether the network decides as if the slip had never been, to the spike."""
        same = self.before.labels == self.after.labels and np.array_equal(self.before.spikes, self.after.spikes)
        same = same and np.array_equal(self.before.first_spike, self.after.first_spike)
        return same and self.before.label == self.after.label


Event = Named | Learnt | Undone


class _Shown(NamedTuple):
    frame: Frame
    embedding: NDArray[np.uint8]
    image: NDArray[np.uint8]


class Device:
    """The loop, one frame a step; its parts come as arguments and are closed by whoever made them."""

    def __init__(
        self,
        camera: Camera,
        buttons: Buttons,
        indicator: Indicator,
        preprocess: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        encoder: Encoder,
        learner: Learner,
        *,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._camera = camera
        self._buttons = buttons
        self._indicator = indicator
        self._preprocess = preprocess
        self._encoder = encoder
        self._learner = learner
        self._timer = timer
        self._shown: list[_Shown] = []
        self._last: tuple[_Shown, Decision] | None = None

    def step(self, script: Script, report: Callable[[Event], None]) -> bool:
        """Handle the presses up to the newest frame, then name that frame; False when the camera's recording ends."""
        frame = self._camera.read(READ_TIMEOUT_S)
        if frame is None:
            return False
        for edge in self._buttons.read(0.0):
            if edge.pressed:
                self._handle(edge, script, report)
        if script.over(frame.time_ns):
            return False
        started = self._timer()
        image = self._preprocess(frame.image).copy()
        prepared = self._timer()
        embedding = self._encoder.encode(image)
        encoded = self._timer()
        decision = self._learner.classify(embedding)
        decided = self._timer()
        self._indicator.show(decision)
        self._shown = [*self._shown[-3:], _Shown(frame, embedding, image)]
        times = Milliseconds((prepared - started) / 1e6, (encoded - prepared) / 1e6, (decided - encoded) / 1e6)
        beat = script.beat(frame.time_ns)
        report(Named(beat.chapter, frame, beat.shot.name, decision, times))
        return True

    def _handle(self, edge: ButtonEdge, script: Script, report: Callable[[Event], None]) -> None:
        beat = script.beat(edge.time_ns)
        if edge.name == UNDO:
            report(self._undo(beat.chapter))
            return
        shown = self._shown_at(edge.time_ns)
        label = beat.shot.name or "" if edge.name == NEW else edge.name
        new = label not in self._learner.labels
        started = self._timer()
        taught = self._learner.teach(shown.embedding, label, source=f"button {edge.name}", thumbnail=_jpeg(shown.image))
        ms = (self._timer() - started) / 1e6
        self._indicator.blink("learnt")
        self._last = shown, taught.before
        report(Learnt(beat.chapter, shown.frame, beat.shot.name, label, new, taught.example_id, taught.before, ms))

    def _undo(self, chapter: str) -> Undone:
        if self._last is None:
            raise DeviceError("demo: undo was pressed before anything was taught; the script is wrong")
        shown, before = self._last
        taught = self._learner.classify(shown.embedding)
        self._learner.undo()
        self._indicator.blink("undone")
        return Undone(chapter, shown.frame, before, taught, self._learner.classify(shown.embedding))

    def _shown_at(self, time_ns: int) -> _Shown:
        """Return what was before the camera when the button went down, not what came later."""
        for shown in reversed(self._shown):
            if shown.frame.time_ns <= time_ns:
                return shown
        raise DeviceError("demo: a button was pressed before the first frame; the script is wrong")


def run_demo(device: Device, script: Script, report: Callable[[Event], None]) -> None:
    """Run the script to its end, reporting every event as it happens. Raises what the parts raise."""
    while device.step(script, report):
        pass


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    import cv2

    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(data)
