"""A simulated view: a photographed object in a hand before a background, moving, turning, in changing light.

A view is a pure function of the shots and the time: the same time gives the same bytes, whichever frames were rendered
before. All motion is a slow sine of time whose amplitude, rate and phase are drawn from the shot's seed.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S
from edge_app.simulation.drawn_hand import SIZE as HAND_SIZE
from edge_app.simulation.drawn_hand import TONES, draw_hand
from edge_app.simulation.photographs import Cutout, Photographs, Use

Picture = NDArray[np.uint8]


class Shot(NamedTuple):
    """An object shown for a while."""

    name: str | None
    """The object; None: only the background."""
    view: int
    """Which of the object's views."""
    use: Use
    """Which backgrounds: those of teaching, or those kept for tests."""
    seed: int
    """Determines background, pose, motion, light, hand and noise."""
    spread: float = 1.0
    """How far pose and light deviate from upright, centred and even: 0 to 1."""


class _Wave(NamedTuple):
    middle: float
    swing: float
    rate_hz: float
    phase: float

    def at(self, seconds: float) -> float:
        return self.middle + self.swing * math.sin(2 * math.pi * self.rate_hz * seconds + self.phase)


class _Look(NamedTuple):
    """Everything that is drawn from a shot's seed."""

    background: int
    x: _Wave
    y: _Wave
    size: _Wave
    roll: _Wave
    tilt: _Wave
    swivel: _Wave
    light: _Wave
    pan: _Wave
    zoom: float
    tint: tuple[float, float, float]
    shadow: float
    side: float
    grip: float
    tone: int
    defocus: float
    noise: int


class PhotographScene:
    """Renders shots of `shot_s` seconds each, one after the other, as frames of `size` (width, height)."""

    def __init__(
        self,
        photographs: Photographs,
        shots: Callable[[int], Shot],
        *,
        shot_s: float = 3.0,
        size: tuple[int, int] = (640, 480),
    ) -> None:
        self._photographs = photographs
        self._shots = shots
        self._shot_ns = round(shot_s * NS_PER_S)
        self._size = size
        self._hands = [Cutout(*draw_hand(tone), "both") for tone in TONES]
        # patches
        noise = np.random.default_rng(20_240_901).normal(0.0, 1.0, (size[1] + 64, size[0] + 64, 3))
        self._noise = [np.rint(noise * sigma).astype(np.int16) for sigma in (2.5, 5.0, 8.0)]

    def shot(self, time_ns: int) -> Shot:
        """Return the shot `time_ns` after the start of the scene."""
        return self._shots(time_ns // self._shot_ns)

    def truth(self, time_ns: int) -> str | None:
        """Return the name of the object shown, None for none."""
        return self.shot(time_ns).name

    def image(self, time_ns: int) -> Picture:
        """Return the view, uint8 (height, width, 3) RGB."""
        import cv2

        shot = self.shot(time_ns)
        seconds = time_ns % self._shot_ns / NS_PER_S
        look = _draw_look(shot, len(self._photographs.backgrounds[shot.use]))
        image = self._background(shot, look, seconds)
        if shot.name is not None:
            self._hold_up(image, self._photographs.objects[shot.name][shot.view], look, seconds)
        image = _lit(image, look, seconds)
        speed = math.hypot(
            look.x.at(seconds + 0.02) - look.x.at(seconds), look.y.at(seconds + 0.02) - look.y.at(seconds)
        )
        # motion blur, for an exposure of a fiftieth of a second
        smear = round(speed * self._size[0])
        if smear >= 2:
            image = cv2.blur(image, (min(smear, 12), 1))
        if look.defocus > 0.4:
            image = cv2.GaussianBlur(image, (0, 0), look.defocus)
        return self._grainy(image, look, time_ns)

    def _background(self, shot: Shot, look: _Look, seconds: float) -> Picture:
        import cv2

        width, height = self._size
        picture = self._photographs.backgrounds[shot.use][look.background]
        turn = cv2.getRotationMatrix2D(
            (picture.shape[1] / 2, picture.shape[0] / 2), look.pan.at(seconds) * 25, look.zoom * height / 480
        )
        turn[:, 2] += (width - picture.shape[1]) / 2, (height - picture.shape[0]) / 2
        turn[0, 2] += look.pan.at(seconds) * 80
        warped: Picture = cv2.warpAffine(picture, turn, self._size, borderMode=cv2.BORDER_REFLECT_101)
        return warped

    def _hold_up(self, image: Picture, thing: Cutout, look: _Look, seconds: float) -> None:
        width, height = self._size
        tall, wide = thing.mask.shape
        scale = look.size.at(seconds) * height / max(tall, wide)
        roll = look.roll.at(seconds)
        x, y = width * look.x.at(seconds), height * look.y.at(seconds)
        tilt, swivel = look.tilt.at(seconds), look.swivel.at(seconds)
        _paste(image, thing, _corners(wide * scale, tall * scale, x, y, roll, tilt, swivel))
        # the hand comes from the lower part of the frame and covers the object's edge
        hand = self._hands[look.tone]
        grown = (0.35 + 0.4 * look.size.at(seconds)) * height / HAND_SIZE[1]
        angle = look.side + 0.4 * roll
        reach = look.grip * scale * (wide * abs(math.sin(angle)) + tall * abs(math.cos(angle))) / 2
        half = HAND_SIZE[1] * grown / 2
        x -= (reach + half) * math.sin(angle)
        y += (reach + half) * math.cos(angle)
        _paste(image, hand, _corners(HAND_SIZE[0] * grown, HAND_SIZE[1] * grown, x, y, angle, 0.0, 0.0))

    def _grainy(self, image: Picture, look: _Look, time_ns: int) -> Picture:
        import cv2

        width, height = self._size
        mixed = time_ns // 1_000_000 * 2_654_435_761 % 2**32  # Knuth's multiplicative hash: another patch every frame
        left, top = mixed >> 8 & 63, mixed >> 20 & 63
        grain = self._noise[look.noise][top : top + height, left : left + width]
        noisy: Picture = cv2.add(image, grain, dtype=cv2.CV_8U)
        return noisy


def endless_shots(photographs: Photographs, seed: int) -> Callable[[int], Shot]:
    """Return a plan that shows every object once per round, in a new order each round, without end."""
    names = sorted(photographs.objects)

    def shot(index: int) -> Shot:
        turn, place = divmod(index, len(names))
        # from the turn's number, not from the turn before: a view is a function of the time
        name = names[np.random.default_rng((seed, turn)).permutation(len(names))[place]]
        rng = np.random.default_rng((seed, turn, place))
        use: Use = "teach" if turn % 2 == 0 else "test"
        return Shot(name, int(rng.choice(photographs.views(name, use))), use, int(rng.integers(2**31)))

    return shot


def _draw_look(shot: Shot, backgrounds: int) -> _Look:
    # in a fixed order of draws: another order would change every scene, and the figures that rest on it
    rng = np.random.default_rng(shot.seed)
    spread = shot.spread

    def wave(middle: float, stray: float, swing: float, rate_hz: float = 0.35) -> _Wave:
        start = middle + spread * stray * rng.uniform(-1, 1)
        return _Wave(start, spread * swing * rng.uniform(0.4, 1), rate_hz * rng.uniform(0.6, 1.4), rng.uniform(0, 6.28))

    return _Look(
        background=int(rng.integers(backgrounds)),
        x=wave(0.5, 0.14, 0.08),
        y=wave(0.46, 0.12, 0.06),
        size=wave(0.58, 0.26, 0.05),
        roll=wave(0.0, 1.1, 0.25),
        tilt=wave(0.0, 0.55, 0.15),
        swivel=wave(0.0, 0.65, 0.20),
        light=wave(0.0, 0.9, 0.2, 0.5),
        pan=wave(0.0, 1.0, 0.1, 0.2),
        zoom=float(rng.uniform(1.0, 2.2)),
        tint=(float(rng.uniform(0.80, 1.1)), float(rng.uniform(0.85, 1.08)), float(rng.uniform(0.72, 1.1))),
        shadow=float(spread * rng.uniform(-0.8, 0.8)),
        side=float(rng.uniform(-1.1, 1.1)),
        grip=float(rng.uniform(0.7 - 0.8 * spread, 0.8)),
        tone=int(rng.integers(len(TONES))),
        defocus=float(spread * rng.uniform(0, 3.0)),
        noise=int(rng.integers(3)),
    )


def _corners(
    width: float, height: float, x: float, y: float, roll: float, tilt: float, swivel: float
) -> NDArray[np.float32]:
    """Return where a flat card's corners appear: rolled about its centre, then seen in perspective (radians)."""
    distance = 2.2 * max(width, height)
    points = []
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        right = u * width * math.cos(roll) - v * height * math.sin(roll)
        down = u * width * math.sin(roll) + v * height * math.cos(roll)
        away = right * math.sin(swivel) + down * math.sin(tilt)
        nearer = distance / (distance + away)
        points.append((x + right * math.cos(swivel) * nearer, y + down * math.cos(tilt) * nearer))
    return np.array(points, np.float32)


def _paste(image: Picture, thing: Cutout, corners: NDArray[np.float32]) -> None:
    """Draw a cut-out onto `image`, in place, with its corners at `corners` (4, 2)."""
    import cv2

    height, width = image.shape[:2]
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (width, height))
    # outside the frame
    if left >= right or top >= bottom:
        return
    tall, wide = thing.mask.shape
    source = np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)], np.float32)
    onto = cv2.getPerspectiveTransform(source, corners - np.array((left, top), np.float32))
    size = (int(right - left), int(bottom - top))
    colour = cv2.warpPerspective(thing.image, onto, size)
    clear = cv2.bitwise_not(cv2.warpPerspective(thing.mask, onto, size))
    below = image[top:bottom, left:right]
    cv2.multiply(below, cv2.merge((clear, clear, clear)), dst=below, scale=1 / 255)
    cv2.add(below, colour, dst=below)


def _lit(image: Picture, look: _Look, seconds: float) -> Picture:
    """Return the image in the shot's light: brightness and colour by a lookup table, then a shadow from one side."""
    import cv2

    gain = 2.0 ** look.light.at(seconds)
    levels = np.arange(256)[:, None] * (gain * np.array(look.tint))[None, :]
    table = np.minimum(np.rint(levels), 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(1, 256, 3))
    height, width = image.shape[:2]
    ramp = np.rint(255 - 255 * abs(look.shadow) * np.linspace(0, 1, width)).astype(np.uint8)
    if look.shadow < 0:
        ramp = ramp[::-1]
    row = np.ascontiguousarray(np.repeat(ramp[None, :, None], 3, axis=2))
    shaded: Picture = cv2.multiply(image, cv2.repeat(row, height, 1), scale=1 / 255)
    return shaded
