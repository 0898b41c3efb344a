"""Parts of the pipeline's tests: an encoder without a model, a list of reports, scenes."""

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S
from edge_app.encoder.preprocess import Preprocessor
from edge_app.messages import Decision, Frame
from edge_app.pipeline.events import Decided

SIDE = 16
COLOURS = {"red": (210, 40, 30), "green": (30, 190, 60), "blue": (40, 50, 220)}


class PatchEncoder:
    """Embeds a picture, (16, 16, 3), as the means of 4 x 4 patches: 32 of the 48 values. Counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails: Exception | None = None
        self.frozen: threading.Event | None = None
        """Where set: an encode waits for it, as one that hangs would."""
        self.entered = threading.Event()

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        if self.frozen is not None:
            self.entered.set()
            assert self.frozen.wait(30)
        return embedding_of(image)

    def encode_with_map(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The map is flat: all of its cells are the embedding."""
        embedding = self.encode(image)
        return embedding, np.broadcast_to(embedding, (4, 4, embedding.size)).copy()


def embedding_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    means = picture.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3))
    return means.astype(np.uint8).ravel()[:32].copy()


def make_preprocess() -> Preprocessor:
    return Preprocessor(SIDE)


def colour(name: str, seed: int = 0, side: int = 32) -> NDArray[np.uint8]:
    """A picture of one colour with the noise of a sensor."""
    noise = np.random.default_rng(seed).integers(-4, 5, (side, side, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)


def frame(name: str, time_s: float, sequence: int = 0) -> Frame:
    return Frame(colour(name, sequence), round(time_s * NS_PER_S), sequence)


def decision(label: str | None, labels: tuple[str, ...] = ("red", "green", "blue")) -> Decision:
    ones = np.ones(len(labels), np.int32)
    return Decision(label, labels, ones, ones, 1, ones.astype(np.int64))


def decided(label: str | None, sequence: int = 0, **fields: Any) -> Decided:
    """An event as the pipeline makes it; `fields` instead of its own."""
    labels = () if label is None else (label,)
    event = Decided(label, decision(label, labels), 0.9, sequence, 7, 10, 2_000_000, 0, fresh=True, changed=False)
    return event._replace(**fields)


class ColourScene:
    """Shows red, green and blue in turn, a second each."""

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        names = list(COLOURS)
        return colour(names[time_ns // NS_PER_S % len(names)], time_ns // 1_000_000)


class Told(NamedTuple):
    level: int
    event: str
    fields: dict[str, object]


class Reports:
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._came = threading.Condition()

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        assert level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
        with self._came:
            self.told.append(Told(level, event, fields))
            self._came.notify_all()

    @property
    def events(self) -> list[str]:
        return [told.event for told in self.told]

    def last(self, event: str) -> dict[str, object]:
        return next(told.fields for told in reversed(self.told) if told.event == event)

    def wait_for(self, right: Callable[[list[str]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right([told.event for told in self.told]), 30), self.events
