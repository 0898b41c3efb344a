"""USB cameras and other Video4Linux2 devices, through OpenCV: `v4l2:/dev/video0?size=640x480,fps=30`.

OpenCV has aarch64 wheels and is a dependency anyway; linuxpy, a maintained V4L2 library, is under the GPL.
"""

import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.uri import Reader, read_fps, read_options, read_size, split_path
from edge_app.errors import DeviceError, InputError

FORMATS = {"mjpg": "MJPG", "yuyv": "YUYV"}
"""Option -> V4L2's four characters; both can be decoded when a frame is handed out, and not before."""

CONTROLS = {
    "brightness": "BRIGHTNESS",
    "contrast": "CONTRAST",
    "saturation": "SATURATION",
    "hue": "HUE",
    "gain": "GAIN",
    "gamma": "GAMMA",
    "sharpness": "SHARPNESS",
    "auto_exposure": "AUTO_EXPOSURE",
    "exposure": "EXPOSURE",
    "auto_wb": "AUTO_WB",
    "wb_temperature": "WB_TEMPERATURE",
    "autofocus": "AUTOFOCUS",
    "focus": "FOCUS",
    "zoom": "ZOOM",
}
"""Option -> OpenCV's property CAP_PROP_..., in the order they are set: automatic modes first."""

DEFAULT_SIZE = (640, 480)
BUFFERS = 2
"""One frame to read while the camera fills the other; with a single buffer, frames during a copy would be lost."""
SELECT_TIMEOUT_S = "1"
QUICK_S = 0.3
"""Seconds; a read that fails sooner did not wait for a frame: the device refused."""
REFUSALS = 5
"""Refusals in a row that mean a permanent fault."""

VIDIOC_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability), linux/videodev2.h
CAP_VIDEO_CAPTURE = 0x00000001 | 0x00001000  # single- or multi-planar
CAP_DEVICE_CAPS = 0x80000000

CaptureMaker = Callable[[str], Any]


def opencv_capture(path: str) -> Any:
    """Return OpenCV's capture of a V4L2 device, opened or not."""
    # OpenCV reads it once, at its first wait; its default of 10 s would delay a clean stop
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", SELECT_TIMEOUT_S)
    import cv2

    return cv2.VideoCapture(path, cv2.CAP_V4L2)


class V4l2Camera(LiveCamera):
    """A V4L2 capture device. An unplugged one raises DeviceError at the next read, and opens again once it is back.

    `size`, `fps` and `pixels` ("mjpg" or "yuyv") that are given must be met by the device; without them it is asked for
    640x480 but may choose another size. `controls` (keys of `CONTROLS`) are set in the device's own units. `capture`
    makes the cv2.VideoCapture, or what stands for it; `check` checks the path first.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        pixels: str | None = None,
        controls: Mapping[str, float] | None = None,
        uri: str | None = None,
        capture: CaptureMaker = opencv_capture,
        check: Callable[[str, str], None] | None = None,
    ) -> None:
        super().__init__(uri or f"v4l2:{path}", clock)
        self._path = path
        self._size = size
        self._fps = fps
        self._pixels = pixels
        self._controls = dict(controls or {})
        self._capture = capture
        self._check = check or check_device

    def _connect(self) -> FrameSource:
        self._check(self._path, self._uri)
        capture = self._capture(self._path)
        if not capture.isOpened():
            capture.release()
            raise DeviceError(
                f"{self._uri}: the device does not start; another program may be using it "
                f"(`fuser {self._path}` tells which)"
            )
        try:
            self._configure(capture)
        except BaseException:
            capture.release()
            raise
        return _V4l2Source(self._uri, self._path, capture, self._clock)

    def _configure(self, capture: Any) -> None:
        import cv2

        if self._pixels is not None:
            code = FORMATS[self._pixels]
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code))
            # drivers choose another format silently
            if (actual := _fourcc(capture)) != code:
                raise InputError(f"{self._uri}: the camera delivers {actual} instead of {code}; leave out pixels=")
        width, height = self._size or DEFAULT_SIZE
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        offered = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if self._size is not None and offered != self._size:
            raise InputError(
                f"{self._uri}: the camera delivers {offered[0]}x{offered[1]} instead of {width}x{height}; "
                f"write size={offered[0]}x{offered[1]} (`v4l2-ctl --list-formats-ext` lists what there is)"
            )
        if self._fps is not None:
            self._set_rate(capture, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
        # in the order of CONTROLS: a manual value is rejected while its automatic mode is on
        for name in (name for name in CONTROLS if name in self._controls):
            value = self._controls[name]
            if not capture.set(getattr(cv2, f"CAP_PROP_{CONTROLS[name]}"), value):
                raise InputError(
                    f"{self._uri}: the camera does not take {name} = {value:g}; `v4l2-ctl --list-ctrls` shows its range"
                )
        if _fourcc(capture) in FORMATS.values():
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # decoded when it is handed out, not by the thread

    def _set_rate(self, capture: Any, fps: float) -> None:
        import cv2

        capture.set(cv2.CAP_PROP_FPS, fps)
        actual = float(capture.get(cv2.CAP_PROP_FPS))
        # 0: the driver does not say. 5 %: 29.97 counts as 30
        if actual > 0 and abs(actual - fps) > 0.05 * fps:
            raise InputError(
                f"{self._uri}: the camera delivers {actual:g} frames/s at this size instead of {fps:g}; "
                f"write fps={actual:g} (`v4l2-ctl --list-formats-ext` lists what there is)"
            )


class _V4l2Source:
    def __init__(self, uri: str, path: str, capture: Any, clock: Clock) -> None:
        self._uri = uri
        self._path = path
        self._capture = capture
        self._clock = clock
        self._refusals = 0
        self._code = _fourcc(capture)

    def next(self) -> Packet | None:
        start_ns = self._clock.monotonic_ns()
        if not self._capture.grab():
            self._judge((self._clock.monotonic_ns() - start_ns) / NS_PER_S)
            return None
        time_ns = self._stamp()
        read, data = self._capture.retrieve()
        if not read or data is None:
            self._judge(0.0)
            return None
        self._refusals = 0
        return Packet(data, time_ns)

    def _judge(self, waited_s: float) -> None:
        """Raise DeviceError when a failed read means that the device is gone; a silent device is left to the reader."""
        if not Path(self._path).exists():
            raise DeviceError(f"{self._uri}: the camera was unplugged; plug it in and open it again")
        # one quick failure may be a damaged frame
        self._refusals = self._refusals + 1 if waited_s < QUICK_S else 0
        if self._refusals >= REFUSALS:
            raise DeviceError(f"{self._uri}: the camera refuses to deliver frames; unplug it and plug it in again")
        if self._refusals:
            self._clock.sleep(0.05)

    def _stamp(self) -> int:
        """Return the kernel's time stamp if it is monotonic, else now."""
        import cv2

        now_ns = self._clock.monotonic_ns()
        kernel_ns = round(float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e6)
        # a stamp that is not of the last second is of another clock
        return kernel_ns if now_ns - NS_PER_S < kernel_ns <= now_ns else now_ns

    def decode(self, data: Any) -> NDArray[np.uint8]:
        import cv2

        image: NDArray[np.uint8] | None
        if data.ndim == 3 and data.shape[2] == 3:
            image = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
        elif self._code == "YUYV" and data.ndim == 3 and data.shape[2] == 2:
            image = cv2.cvtColor(data, cv2.COLOR_YUV2RGB_YUYV)
        elif self._code == "MJPG":
            bgr = cv2.imdecode(data.reshape(-1), cv2.IMREAD_COLOR)
            image = None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        else:
            image = None
        if image is None:
            raise DeviceError(
                f"{self._uri}: a frame of {data.nbytes} bytes is not a {self._code} picture; check the cable"
            )
        return image

    def interrupt(self) -> None:
        """OpenCV's wait cannot be ended early; it lasts a second at most."""

    def close(self) -> None:
        self._capture.release()


def check_device(path: str, name: str) -> None:
    """Raise DeviceError with the reason why this process cannot use the V4L2 device `path`; `name` is its URI."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        found = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none; is the camera plugged in?"
        raise DeviceError(f"{name}: no such device; there are: {found}") from None
    except OSError as error:
        raise DeviceError(f"{name}: cannot inspect the device: {error.strerror}") from error
    if not stat.S_ISCHR(mode):
        raise DeviceError(f"{name}: this is not a device; to play a video file write file:{path}")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise DeviceError(
            f"{name}: no permission to use the device; add the user to the group video: sudo usermod -aG video $USER"
        ) from error
    except OSError as error:
        raise DeviceError(f"{name}: cannot open the device: {error.strerror}") from error
    try:
        _check_capability(descriptor, name)
    finally:
        os.close(descriptor)


def _check_capability(descriptor: int, name: str) -> None:
    import fcntl

    answer = bytearray(104)  # driver[16], card[32], bus_info[32], version, capabilities, device_caps, reserved[3]
    try:
        fcntl.ioctl(descriptor, VIDIOC_QUERYCAP, answer)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            raise DeviceError(f"{name}: this is not a V4L2 device") from error
        raise DeviceError(f"{name}: the device does not answer: {error.strerror}") from error
    card = bytes(answer[16:48]).split(b"\0")[0].decode(errors="replace")
    everything, own = struct.unpack_from("II", answer, 84)
    if not (own if everything & CAP_DEVICE_CAPS else everything) & CAP_VIDEO_CAPTURE:
        raise DeviceError(
            f"{name}: {card} has another device node for its pictures; `v4l2-ctl --list-devices` lists them"
        )


def _fourcc(capture: Any) -> str:
    import cv2

    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace")


def _read_pixels(text: str) -> str:
    if text.lower() not in FORMATS:
        raise ValueError(f"expected {' or '.join(FORMATS)}")
    return text.lower()


def camera_from_uri(uri: str, clock: Clock) -> V4l2Camera:
    """Make the camera of `v4l2:DEVICE?size=WxH,fps=N,pixels=mjpg|yuyv,CONTROL=N,...`; raises InputError."""
    path, text = split_path(uri)
    readers: dict[str, Reader] = {"size": read_size, "fps": read_fps, "pixels": _read_pixels}
    options = read_options(uri, text, readers | dict.fromkeys(CONTROLS, float))
    controls = {name: options.pop(name) for name in CONTROLS if name in options}
    return V4l2Camera(path, clock, controls=controls, uri=uri, **options)
