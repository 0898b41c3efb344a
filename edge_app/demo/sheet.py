"""The demo's contact sheet: taught frames, decisions, and the OUT spikes of each column."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.demo.canvas import Canvas
from edge_app.demo.run import DecidedShot, DemoEvent, TaughtShot, UndoneShot
from edge_app.demo.script import ADDED, SLIP, STRANGER, TAUGHT
from edge_app.demo.tally import Score, Tally
from edge_app.errors import InputError
from edge_app.messages import Decision

GROUND, PANEL, RULE = "#10151d", "#1a222d", "#2b3644"
TEXT, DIM, BAR = "#e9eff5", "#8fa0b3", "#4a5b70"
GREEN, RED, AMBER = "#3fb950", "#f85149", "#e3b341"

MARGIN, GAP = 28, 12
COLUMN, PHOTO = 184, 138
"""Width of a column, height of a 4:3 photograph in it."""
TILE = PHOTO + 56
ROWS = 3
WIDTH = 2 * MARGIN + 8 * COLUMN + 7 * GAP

Picture = NDArray[np.uint8]


class Tile(NamedTuple):
    """One frame with the decision on it."""

    image: Picture
    truth: str
    decision: Decision
    colour: str
    caption: str


class ContactSheet:
    """Collects small copies of the frames from the events, and draws them at the end."""

    def __init__(self, shots: int) -> None:
        self._shots = shots
        self._taught: dict[str, list[Picture]] = {name: [] for name in TAUGHT}
        self._named: dict[str, list[Tile]] = {name: [] for name in TAUGHT}
        self._added: list[Tile] = []
        self._slip: list[Tile] = []
        self._stranger: list[Tile] = []

    def add(self, event: DemoEvent) -> None:
        """Keep the frame and the decision of an event."""
        if isinstance(event, TaughtShot):
            self._add_taught(event)
        elif isinstance(event, UndoneShot):
            image = _small(event.frame.image)
            mark = "undone: as before" if event.exact else "undone: NOT as before"
            colour = GREEN if event.exact else RED
            self._slip += [
                Tile(image, SLIP[0], event.taught, AMBER, f"now {event.taught.label or 'unknown'}"),
                Tile(image, SLIP[0], event.after, colour, mark),
            ]
        elif event.beat.chapter == "name":
            self._named[event.beat.shot.name or ""].append(_decided(event))
        elif event.beat.chapter == "add" and event.beat.shot.name == ADDED and ADDED in event.event.decision.labels:
            self._added.append(_decided(event))
        elif event.beat.chapter == "stranger":
            colour = GREEN if event.event.label is None else AMBER
            self._stranger.append(_decided(event)._replace(colour=colour))

    def _add_taught(self, event: TaughtShot) -> None:
        label, image = event.event.label, _small(event.frame.image)
        if event.beat.chapter == "teach":
            self._taught[label].append(image)
            return
        caption = f"{event.before.label or 'unknown'}?  press: {label}"
        tile = Tile(image, event.beat.shot.name or "", event.before, AMBER, caption)
        (self._added if label == ADDED else self._slip).append(tile)

    def save(self, path: Path, tally: Tally) -> None:
        """Draw the picture into a PNG file; raises InputError when it cannot be written."""
        canvas = Canvas(WIDTH, 102 + 46 + COLUMN + ROWS * (TILE + GAP) + TILE + 200, GROUND)
        self._draw_head(canvas, tally)
        y = self._draw_taught(canvas, 112)
        y = self._draw_named(canvas, y, tally)
        y = self._draw_rest(canvas, y, tally)
        legend = (
            "Bars: OUT spikes of each class's column, in the order of the columns above, the added class last; the lit "
            "one won, the dot marks the truth. Frames are taken at even steps from the run, right or wrong."
        )
        canvas.text((MARGIN, y + 4), legend, 13, DIM)
        try:
            canvas.save(path, y + 34)
        except OSError as error:
            raise InputError(f"{path}: the picture cannot be written: {error.strerror}") from error

    def _draw_head(self, canvas: Canvas, tally: Tally) -> None:
        canvas.text((MARGIN, 22), "edge-app", 40, TEXT)
        canvas.text((MARGIN, 72), "A camera that learns: hold something up, press a button.", 16, DIM)
        cards = (
            (_percent(tally.named), "named right"),
            (_percent(tally.test_then_train), "test then train"),
            (f"{tally.added.right} / {tally.added.total}", f"{ADDED}, one press"),
            (f"{tally.milliseconds()['frame']['p50']:.1f} ms", "a frame, median"),
        )
        for place, (figure, caption) in enumerate(cards):
            x = WIDTH - MARGIN - (len(cards) - place) * (COLUMN + GAP) + GAP
            canvas.box((x, 22, x + COLUMN, 96), PANEL, radius=10)
            canvas.text((x + COLUMN / 2, 28), figure, 30, TEXT, anchor="ma")
            canvas.text((x + COLUMN / 2, 70), caption, 14, DIM, anchor="ma")

    def _draw_taught(self, canvas: Canvas, y: int) -> int:
        presses = "one press each" if self._shots == 1 else f"{self._shots} presses each"
        y = _heading(canvas, y, f"Taught: {presses}", "moderate poses, before four backgrounds")
        width, height = (COLUMN - 4) // 2, (PHOTO - 4) // 2
        for column, name in enumerate(TAUGHT):
            x = MARGIN + column * (COLUMN + GAP)
            pictures = self._taught[name][:4]
            for place, picture in enumerate(pictures):
                left, top = x + place % 2 * (width + 4), y + place // 2 * (height + 4)
                canvas.photo((left, top, left + width, top + height), picture)
            canvas.text((x + COLUMN / 2, y + PHOTO + 6), name, 17, TEXT, anchor="ma")
        return y + PHOTO + 42

    def _draw_named(self, canvas: Canvas, y: int, tally: Tally) -> int:
        y = _heading(
            canvas, y, f"Named: {tally.named} right", "poses, light, backgrounds, coins and wheels it was never taught"
        )
        for column, name in enumerate(TAUGHT):
            tiles = self._named[name]
            for row, tile in enumerate(_spaced(tiles, ROWS)):
                _draw_tile(canvas, MARGIN + column * (COLUMN + GAP), y + row * (TILE + GAP), tile)
        return y + ROWS * (TILE + GAP) + 6

    def _draw_rest(self, canvas: Canvas, y: int, tally: Tally) -> int:
        step = COLUMN + GAP
        parts = (
            (
                0,
                f"New class by one press: {tally.added} right",
                f"the others {tally.others}",
                [*self._added[:1], *_spaced(self._added[1:], 2)],
            ),
            (3, "A wrong press, undone", "", self._slip),
            (6, f"Never taught: {STRANGER}", "", _spaced(self._stranger, 2)),
        )
        for column, title, note, tiles in parts:
            _heading(
                canvas,
                y,
                title,
                note,
                x=MARGIN + column * step,
                right=MARGIN + (column + max(1, len(tiles))) * step - GAP,
            )
            for place, tile in enumerate(tiles):
                _draw_tile(canvas, MARGIN + (column + place) * step, y + 36, tile)
        return y + 36 + TILE + GAP


def _draw_tile(canvas: Canvas, x: float, y: float, tile: Tile) -> None:
    canvas.box((x, y, x + COLUMN, y + TILE), PANEL, radius=8)
    canvas.box((x, y, x + COLUMN, y + PHOTO), tile.colour, radius=8)
    canvas.photo((x + 4, y + 4, x + COLUMN - 4, y + PHOTO - 4), tile.image)
    canvas.text((x + 8, y + PHOTO + 4), tile.caption, 14, tile.colour)
    _draw_bars(canvas, (x + 8, y + PHOTO + 24, x + COLUMN - 8, y + TILE - 9), tile)


def _draw_bars(canvas: Canvas, area: tuple[float, float, float, float], tile: Tile) -> None:
    left, top, right, bottom = area
    labels, spikes = tile.decision.labels, tile.decision.spikes
    order = [name for name in (*TAUGHT, ADDED) if name in labels]
    slot = (right - left) / (len(TAUGHT) + 1)
    # 1: no bar is drawn by dividing by zero
    highest = max(1, int(spikes.max(initial=0)))
    for place, name in enumerate(order):
        x = left + place * slot
        height = (bottom - top) * int(spikes[labels.index(name)]) / highest
        colour = tile.colour if name == tile.decision.label else BAR
        canvas.box((x + 2, bottom - max(height, 1.5), x + slot - 2, bottom), colour)
        if name == tile.truth:
            canvas.dot((x + slot / 2, bottom + 4.5), 2.2, TEXT)


def _heading(canvas: Canvas, y: int, title: str, note: str, *, x: int = MARGIN, right: int = WIDTH - MARGIN) -> int:
    canvas.text((x, y), title, 19, TEXT)
    if note:
        canvas.text((x + canvas.width_of(title, 19) + 14, y + 4), note, 15, DIM)
    canvas.box((x, y + 27, right, y + 28), RULE)
    return y + 36


def _decided(event: DecidedShot) -> Tile:
    colour, caption = GREEN if event.right else RED, event.event.label or "unknown"
    return Tile(_small(event.frame.image), event.beat.shot.name or "", event.event.decision, colour, caption)


def _percent(score: Score) -> str:
    return "-" if score.accuracy is None else f"{100 * score.accuracy:.0f} %"


def _spaced(tiles: list[Tile], count: int) -> list[Tile]:
    """Return `count` tiles at even steps, all of them when there are fewer."""
    if len(tiles) <= count:
        return tiles
    return [tiles[round((place + 0.5) * len(tiles) / count - 0.5)] for place in range(count)]


def _small(image: Picture) -> Picture:
    """Return a copy that is twice as wide as it will be drawn, so that a long demo does not fill the memory."""
    import cv2

    small: Picture = cv2.resize(image, (2 * COLUMN, 2 * PHOTO), interpolation=cv2.INTER_AREA)
    return small
