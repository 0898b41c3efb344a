"""Replaces OpenCV's capture of a V4L2 device: frames in real time, kernel time stamps, faults on request."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np

FPS = 25


def picture(index: int) -> np.ndarray:
    """A picture that tells its number: red above blue (RGB), and a grey block that is lighter in each."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :, 0] = 250
    image[24:, :, 2] = 250
    image[16:32, 16:48] = 40 + 8 * (index % 25)
    return image


def yuyv(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 2): Y of each pixel; U and V of each pair, ITU-R BT.601 studio range."""
    red, green, blue = (rgb[:, :, channel].astype(float) for channel in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    packed = np.empty((*rgb.shape[:2], 2), np.uint8)
    packed[:, :, 0] = np.rint(luma)
    packed[:, 0::2, 1] = np.rint(u[:, 0::2])
    packed[:, 1::2, 1] = np.rint(v[:, 0::2])
    return packed


class FakeCapture:
    """A device of 64x48 pixels at 25 frames/s that has a brightness and no zoom.

    It delivers YUYV or MJPG, raw once CONVERT_RGB is off. It is unplugged when its node is gone; `silent` makes it
    stall (a read then fails after `patience_s`), `refusing` lets reads fail at once, `garbage` spoils the pictures.
    """

    def __init__(self, path: str, *, fourcc: str = "YUYV", opens: bool = True, patience_s: float = 0.1) -> None:
        self.path = path
        self.values: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 64, cv2.CAP_PROP_FRAME_HEIGHT: 48, cv2.CAP_PROP_FPS: FPS,
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*fourcc), cv2.CAP_PROP_CONVERT_RGB: 1,
            cv2.CAP_PROP_BRIGHTNESS: 0, cv2.CAP_PROP_BUFFERSIZE: 4,
        }  # fmt: skip
        self.fixed = {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS}
        self.silent = threading.Event()
        self.refusing = threading.Event()
        self.garbage = threading.Event()
        self.released = False
        self.patience_s = patience_s
        self._opens = opens
        self._start_ns = time.monotonic_ns()
        self._index = -1

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return self._opens and not self.released

    def set(self, prop: int, value: float) -> bool:
        if prop not in self.values:
            return False
        if prop not in self.fixed:
            self.values[prop] = value
        return True

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self._due_ns(self._index) / 1e6
        return self.values.get(prop, 0)

    def _due_ns(self, index: int) -> int:
        return self._start_ns + index * 1_000_000_000 // FPS

    def grab(self) -> bool:
        if self.refusing.is_set() or not Path(self.path).exists():
            return False
        if self.silent.is_set():
            time.sleep(self.patience_s)
            return False
        self._index = max(self._index + 1, (time.monotonic_ns() - self._start_ns) * FPS // 1_000_000_000)
        time.sleep(max(0, self._due_ns(self._index) - time.monotonic_ns()) / 1e9)
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        rgb = picture(self._index)
        if self.garbage.is_set():
            return True, np.frombuffer(b"no picture", np.uint8).reshape(1, -1)
        if self.values[cv2.CAP_PROP_CONVERT_RGB]:
            return True, np.ascontiguousarray(rgb[:, :, ::-1])
        if self.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"YUYV"):
            return True, yuyv(rgb)
        return True, cv2.imencode(".jpg", rgb[:, :, ::-1])[1].reshape(1, -1)

    def release(self) -> None:
        self.released = True
